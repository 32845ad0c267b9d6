/* AlphaGrad's step on the CPU, as a module of Python: arguments in, one call, nothing else.
 *
 * The update pass follows the norm pass tensor by tensor, so the gradient of one that fits the
 * cache is read from memory once. */
#include "_band.h"
#include "_layers.h"
#include "_rows.h"
#include "_tensors.h"

static const passes *passes_for(const dl_tensor *t)
{
    if (has_dtype(t, DL_FLOAT, 32))
        return &FLOAT32;
    if (has_dtype(t, DL_FLOAT, 64))
        return &FLOAT64;
    return has_dtype(t, DL_BFLOAT, 16) ? &BFLOAT16 : NULL;
}

/* Read parameter, gradient and buffer i; buffer is NULL without momentum. Return 0 if they are not
 * for this kernel. */
static int read_row(PyObject *param, PyObject *grad, PyObject *buffer, tensor *row, group *g)
{
    dl_tensor p, other;
    int64_t numel;
    if (!read_tensor(param, &p, &row->numel))
        return 0;
    const passes *with = passes_for(&p);
    if (with == NULL || (g->with != NULL && g->with != with))
        return 0;
    g->with = with;
    row->param = address(&p);
    row->grad = row->buffer = NULL;
    if (grad == Py_None)
        return 1;
    if (!read_tensor(grad, &other, &numel) || !same_kind(&p, &other))
        return 0;
    row->grad = address(&other);
    if (buffer == NULL)
        return 1;
    if (!read_tensor(buffer, &other, &numel) || !same_kind(&p, &other))
        return 0;
    row->buffer = address(&other);
    return 1;
}

/* The numbers of a tensor of shape (n,), or (3, n) for 3 rows; NULL if it is not one. */
static void *read_vector(PyObject *object, int code, int bits, int rows, int64_t n)
{
    dl_tensor t;
    int64_t numel;
    if (!read_tensor(object, &t, &numel) || !has_dtype(&t, code, bits) || numel != rows * n
        || t.ndim != (rows == 1 ? 1 : 2) || t.shape[t.ndim - 1] != n)
        return NULL;
    return address(&t);
}

/* Return 0 if the kernel cannot take it, -1 with an exception. */
static int read_numbers(PyObject *object, int64_t n, numbers *to)
{
    if (Py_TYPE(object) == tensor_type || Py_TYPE(object) == parameter_type)
        return (to->values = read_vector(object, DL_FLOAT, 32, 1, n)) != NULL;
    to->value = PyFloat_AsDouble(object);
    return to->value == -1 && PyErr_Occurred() ? -1 : 1;
}

static int read_group(PyObject *const *lists, PyObject *const *values, tensor *rows, group *g)
{
    g->saturation = read_vector(values[3], DL_FLOAT, 32, 1, g->n);
    g->skipped = read_vector(values[4], DL_INT, 64, 3, g->n);
    int fits = g->saturation != NULL && g->skipped != NULL;
    numbers *const to[] = {&g->alpha, &g->beta, &g->mix};
    for (int i = 0; i < 3 && fits > 0; i++)
        fits = read_numbers(values[i], g->n, to[i]);
    PyObject **params = PySequence_Fast_ITEMS(lists[0]), **grads = PySequence_Fast_ITEMS(lists[1]);
    PyObject **buffers = PySequence_Fast_ITEMS(lists[2]);
    const int buffered = PySequence_Fast_GET_SIZE(lists[2]) > 0;
    for (int64_t i = 0; i < g->n && fits > 0; i++)
        fits = read_row(params[i], grads[i], buffered ? buffers[i] : NULL, &rows[i], g);
    return fits;
}

static PyObject *step_lists(PyObject *const *lists, PyObject *const *values, group *g)
{
    g->n = PySequence_Fast_GET_SIZE(lists[0]);
    const Py_ssize_t grads = PySequence_Fast_GET_SIZE(lists[1]);
    const Py_ssize_t buffers = PySequence_Fast_GET_SIZE(lists[2]);
    if (grads != g->n || (buffers != 0 && buffers != g->n))
        return PyErr_Format(PyExc_ValueError, "step: %lld params, %zd grads, %zd buffers",
            (long long)g->n, grads, buffers);
    tensor *rows = PyMem_Malloc((size_t)(g->n + 1) * sizeof *rows);
    if (rows == NULL)
        return PyErr_NoMemory();
    int fits = read_group(lists, values, rows, g);
    if (fits > 0) {
        g->tensors = rows;
        Py_BEGIN_ALLOW_THREADS
        step_group(g);
        Py_END_ALLOW_THREADS
    }
    PyMem_Free(rows);
    return fits < 0 ? NULL : PyBool_FromLong(fits);
}

static PyObject *step(PyObject *module, PyObject *args)
{
    PyObject *lists[3], *values[5]; /* alpha, beta, mix, saturation, skipped */
    group g = {0};
    unsigned long long seed;
    if (!PyArg_ParseTuple(args, "OOOOOOOOdddddddiKi", &lists[0], &lists[1], &lists[2], &values[0],
            &values[1], &values[2], &values[3], &values[4], &g.lr, &g.momentum, &g.dampening,
            &g.weight_decay, &g.eps, &g.tau, &g.inv_scale, &g.flags, &seed, &g.threads))
        return NULL;
    if (exchange == NULL)
        Py_RETURN_FALSE;
    g.seed = seed;
    PyObject *result = NULL;
    int read = 0;
    while (read < 3 && (lists[read] = PySequence_Fast(lists[read], "step: not a list")) != NULL)
        read++;
    if (read == 3)
        result = step_lists(lists, values, &g);
    while (read > 0)
        Py_DECREF(lists[--read]);
    return result;
}

static PyObject *rows(PyObject *module, PyObject *args)
{
    PyObject *lists[3], *result = NULL;
    int device, read = 0;
    if (!PyArg_ParseTuple(args, "OOOi", &lists[0], &lists[1], &lists[2], &device))
        return NULL;
    if (exchange == NULL)
        Py_RETURN_NONE;
    while (read < 3 && (lists[read] = PySequence_Fast(lists[read], "rows: not a list")) != NULL)
        read++;
    if (read == 3)
        result = rows_of(lists, device);
    while (read > 0)
        Py_DECREF(lists[--read]);
    return result;
}

static PyObject *setup(PyObject *module, PyObject *args)
{
    PyObject *tensor, *parameter;
    if (!PyArg_ParseTuple(args, "O!O!", &PyType_Type, &tensor, &PyType_Type, &parameter)
        || set_types(tensor, parameter) < 0 || intern_keys() < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *tanh_of(PyObject *module, PyObject *args)
{
    float x, result = 0;
    if (!PyArg_ParseTuple(args, "f", &x))
        return NULL;
    const rule r = {.scale = 1, .gain = -1, .keep = 1, .blend = 1, .ahead = 1, .tau = 1};
    update_floats(&result, &x, NULL, 1, &r);
    return PyFloat_FromDouble(result);
}

static PyMethodDef METHODS[] = {
    {"setup", setup, METH_VARARGS, "Say which types are torch's Tensor and Parameter."},
    {"step", step, METH_VARARGS, "Update the tensors of one group; see alphagrad.optim.native."},
    {"rows", rows, METH_VARARGS, "Where tensors lie; see alphagrad.optim.triton_plan."},
    {"hold_band", hold_band, METH_VARARGS, "Move α towards a band; see alphagrad.optim.native."},
    {"tanh", tanh_of, METH_VARARGS, "The float32 tanh of the update pass, for its test."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_kernels",
    .m_doc = "AlphaGrad's native CPU kernel.",
    .m_size = -1,
    .m_methods = METHODS,
};

PyMODINIT_FUNC PyInit__kernels(void) { return PyModule_Create(&MODULE); }
