/* What the kernel knows of torch's tensors, read through DLPack's C exchange interface.
 *
 * It takes nanoseconds where Python's attributes take a microsecond a tensor, and needs no headers
 * of torch, so one build serves every release. The layouts are those of DLPack 1.x. */
#ifndef ALPHAGRAD_TENSORS_H
#define ALPHAGRAD_TENSORS_H
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>

typedef struct {
    void *data;
    struct {
        int32_t type, id;
    } device;
    int32_t ndim;
    struct {
        uint8_t code, bits;
        uint16_t lanes;
    } dtype;
    int64_t *shape, *strides; /* the tensor's own: valid as long as it lives unchanged */
    uint64_t byte_offset;
} dl_tensor;

typedef struct {
    uint32_t major, minor;
    void *previous;
    void *allocate, *export_managed, *import_managed; /* not used here */
    int (*read)(void *object, dl_tensor *);           /* -1 with an exception set */
} dl_exchange;

enum { DL_CPU = 1 };
enum { DL_INT = 0, DL_FLOAT = 2, DL_BFLOAT = 4 };

static const dl_exchange *exchange;
static PyTypeObject *tensor_type, *parameter_type;
static PyObject *is_neg;

/* Subclasses may hold anything: only these two types are what they seem. */
static int set_types(PyObject *tensor, PyObject *parameter)
{
    PyObject *capsule = PyObject_GetAttrString(tensor, "__dlpack_c_exchange_api__");
    if (capsule == NULL)
        return -1;
    const dl_exchange *found = PyCapsule_GetPointer(capsule, "dlpack_exchange_api");
    Py_DECREF(capsule); /* what it points to lives as long as the process */
    if (found == NULL)
        return -1;
    if (found->major != 1 || found->read == NULL) {
        PyErr_Format(PyExc_ValueError, "DLPack of version %u, or without a reader of tensors",
            (unsigned)found->major);
        return -1;
    }
    if (is_neg == NULL && (is_neg = PyUnicode_InternFromString("is_neg")) == NULL)
        return -1;
    tensor_type = (PyTypeObject *)Py_NewRef(tensor);
    parameter_type = (PyTypeObject *)Py_NewRef(parameter);
    exchange = found;
    return 0;
}

static int is_contiguous(const dl_tensor *t, int64_t *numel)
{
    int64_t expected = 1;
    int contiguous = 1;
    for (int i = t->ndim - 1; i >= 0; i--) {
        if (t->shape[i] != 1 && t->strides != NULL && t->strides[i] != expected)
            contiguous = 0;
        expected *= t->shape[i];
    }
    *numel = expected;
    return contiguous || expected == 0;
}

/* Imaginary parts of conjugates are stored negated, which DLPack does not tell. With more than one
 * entry they are not contiguous. */
static int is_negated(PyObject *object)
{
    PyObject *answer = PyObject_CallMethodNoArgs(object, is_neg);
    if (answer == NULL)
        PyErr_Clear();
    Py_XDECREF(answer);
    return answer != Py_False;
}

/* Fill t and numel if the object is a plain contiguous tensor on the CPU; else return 0. */
static int read_tensor(PyObject *object, dl_tensor *t, int64_t *numel)
{
    if (Py_TYPE(object) != tensor_type && Py_TYPE(object) != parameter_type)
        return 0;
    if (exchange->read(object, t) != 0) { /* sparse, on another device, wrapped by a transform */
        PyErr_Clear();
        return 0;
    }
    if (t->device.type != DL_CPU || t->dtype.lanes != 1 || !is_contiguous(t, numel))
        return 0;
    t->data = (char *)t->data + t->byte_offset;
    if (*numel > 0 && (t->data == NULL || (uintptr_t)t->data % (t->dtype.bits / 8u) != 0))
        return 0;
    return *numel != 1 || !is_negated(object);
}

/* An empty tensor has no address, but is there. */
static char *address(const dl_tensor *t) { return t->data != NULL ? t->data : (char *)1; }

static int has_dtype(const dl_tensor *t, int code, int bits)
{
    return t->dtype.code == code && t->dtype.bits == bits;
}

static int same_kind(const dl_tensor *a, const dl_tensor *b)
{
    if (!has_dtype(a, b->dtype.code, b->dtype.bits) || a->ndim != b->ndim)
        return 0;
    for (int i = 0; i < a->ndim; i++)
        if (a->shape[i] != b->shape[i])
            return 0;
    return 1;
}

#endif
