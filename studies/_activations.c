/* A layer's bias and activation in one pass, and the slope of an activation. numpy takes a pass over
 * memory for each operation, and three nanoseconds for a tanh.
 *
 * NaN goes through: a network that has diverged must look like one. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include "../optim/_tanh.h"

typedef struct {
    float *x;          /* rows·units numbers for each agent */
    const float *bias; /* `units` numbers for each agent */
    Py_ssize_t agents, rows, units;
    Py_ssize_t stride; /* from one agent's bias to the next one's */
} layer;

CLONES static void relu_rows(float *restrict x, const float *restrict bias, Py_ssize_t rows,
    Py_ssize_t units)
{
    for (; rows > 0; rows--, x += units)
        for (Py_ssize_t i = 0; i < units; i++) {
            const float sum = x[i] + bias[i];
            x[i] = 0 > sum ? 0 : sum;
        }
}

CLONES static void tanh_rows(float *restrict x, const float *restrict bias, Py_ssize_t rows,
    Py_ssize_t units)
{
    float p[4], q[4];
    for (int i = 0; i < 4; i++) {
        p[i] = (float)(TANH_P[i] / TANH_Q[4]);
        q[i] = (float)(TANH_Q[i] / TANH_Q[4]);
    }
    for (; rows > 0; rows--, x += units)
        for (Py_ssize_t i = 0; i < units; i++) {
            const float c = clamp(x[i] + bias[i]);
            x[i] = ratio(c, c * c, p, q);
        }
}

CLONES static void relu_slopes(float *restrict grad, const float *restrict x, Py_ssize_t n)
{
    for (Py_ssize_t i = 0; i < n; i++)
        grad[i] *= (float)(x[i] > 0);
}

CLONES static void tanh_slopes(float *restrict grad, const float *restrict x, Py_ssize_t n)
{
    for (Py_ssize_t i = 0; i < n; i++)
        grad[i] *= 1 - x[i] * x[i];
}

/* Get the float32 numbers of an array; release the view unless this fails. */
static int get_floats(PyObject *array, Py_buffer *view, int flags)
{
    if (PyObject_GetBuffer(array, view, flags | PyBUF_FORMAT) < 0)
        return -1;
    if (strcmp(view->format, "f") == 0)
        return 0;
    PyErr_Format(PyExc_TypeError, "an array has numbers of format %s, not float32", view->format);
    PyBuffer_Release(view);
    return -1;
}

/* Read the shapes, (agents, rows, units) and (agents, 1, units), or (units,) both. */
static int read_layer(const Py_buffer *x, const Py_buffer *bias, layer *l)
{
    const int last = x->ndim - 1;
    if (bias->ndim == x->ndim && (last == 0 || (last == 2 && bias->shape[1] == 1))
        && bias->shape[0] == x->shape[0] && bias->shape[last] == x->shape[last]
        && (x->shape[last] == 1 || bias->strides[last] == sizeof(float))) {
        *l = (layer){.x = x->buf, .bias = bias->buf, .agents = last ? x->shape[0] : 1,
            .rows = last ? x->shape[1] : 1, .units = x->shape[last],
            .stride = bias->strides[0] / (Py_ssize_t)sizeof(float)};
        return 0;
    }
    PyErr_SetString(PyExc_ValueError,
        "shapes must be (agents, rows, units) and (agents, 1, units), or (units,) both");
    return -1;
}

static PyObject *activate(PyObject *const *args, Py_ssize_t count,
    void (*rows)(float *restrict, const float *restrict, Py_ssize_t, Py_ssize_t))
{
    Py_buffer x, bias;
    layer l;
    if (count != 2) {
        PyErr_Format(PyExc_TypeError, "%zd arguments, not x and bias", count);
        return NULL;
    }
    if (get_floats(args[0], &x, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE) < 0)
        return NULL;
    if (get_floats(args[1], &bias, PyBUF_STRIDES) < 0) {
        PyBuffer_Release(&x);
        return NULL;
    }
    const int read = read_layer(&x, &bias, &l);
    for (Py_ssize_t agent = 0; read == 0 && agent < l.agents; agent++)
        rows(l.x + agent * l.rows * l.units, l.bias + agent * l.stride, l.rows, l.units);
    PyBuffer_Release(&bias);
    PyBuffer_Release(&x);
    if (read < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *multiply(PyObject *const *args, Py_ssize_t count,
    void (*slopes)(float *restrict, const float *restrict, Py_ssize_t))
{
    Py_buffer grad, x;
    if (count != 2) {
        PyErr_Format(PyExc_TypeError, "%zd arguments, not grad and x", count);
        return NULL;
    }
    if (get_floats(args[0], &grad, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE) < 0)
        return NULL;
    if (get_floats(args[1], &x, PyBUF_C_CONTIGUOUS) < 0) {
        PyBuffer_Release(&grad);
        return NULL;
    }
    const int fits = grad.len == x.len;
    if (fits)
        slopes(grad.buf, x.buf, grad.len / (Py_ssize_t)sizeof(float));
    else
        PyErr_Format(PyExc_ValueError, "%zd bytes of grad, %zd of x", grad.len, x.len);
    PyBuffer_Release(&x);
    PyBuffer_Release(&grad);
    if (!fits)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *relu(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    return activate(args, count, relu_rows);
}

static PyObject *tanh_(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    return activate(args, count, tanh_rows);
}

static PyObject *relu_slope(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    return multiply(args, count, relu_slopes);
}

static PyObject *tanh_slope(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    return multiply(args, count, tanh_slopes);
}

#define METHOD(name, call, doc) {name, (PyCFunction)(void (*)(void))call, METH_FASTCALL, doc}

static PyMethodDef METHODS[] = {
    METHOD("relu", relu, "x = max(x + bias, 0)"),
    METHOD("tanh", tanh_, "x = tanh(x + bias)"),
    METHOD("relu_slope", relu_slope, "grad *= x > 0"),
    METHOD("tanh_slope", tanh_slope, "grad *= 1 - x²"),
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_activations",
    .m_doc = "Activations of perceptrons, in place; see alphagrad.studies.activations.",
    .m_size = -1,
    .m_methods = METHODS,
};

PyMODINIT_FUNC PyInit__activations(void) { return PyModule_Create(&MODULE); }
