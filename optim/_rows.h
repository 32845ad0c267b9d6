/* Where the tensors of a group lie, as rows of numbers for a kernel on a GPU. */
#ifndef ALPHAGRAD_ROWS_H
#define ALPHAGRAD_ROWS_H
#include "_tensors.h"

/* One row: addresses of parameter, gradient and buffer, the number of entries, and the kind. The
 * entries of a missing gradient are -1, those of an absent buffer's address 0. */
enum { ROW = 5 };
enum { NO_BUFFER = 3 }; /* beside the places of the types below */

static int type_place(const dl_tensor *t)
{
    return has_dtype(t, DL_FLOAT, 32) ? 0
        : has_dtype(t, DL_BFLOAT, 16) ? 1
        : has_dtype(t, DL_FLOAT, 16)  ? 2
                                      : -1;
}

/* Whether the channels of an image vary fastest, and nothing lies between the entries. */
static int is_channels_last(const dl_tensor *t)
{
    if (t->strides == NULL || (t->ndim != 4 && t->ndim != 5))
        return 0;
    int64_t expected = 1;
    for (int k = 0; k < t->ndim; k++) {
        const int i = k == 0 ? 1 : k == t->ndim - 1 ? 0 : t->ndim - k; /* C, then W, H, D, then N */
        if (t->shape[i] != 1 && t->strides[i] != expected)
            return 0;
        expected *= t->shape[i];
    }
    return 1;
}

/* Read a tensor on a device of this type; formats loses the bits of those it does not have. */
static int read_for_row(PyObject *object, int device, dl_tensor *t, int64_t *numel, int *formats)
{
    if (Py_TYPE(object) != tensor_type && Py_TYPE(object) != parameter_type)
        return 0;
    if (exchange->read(object, t) != 0) {
        PyErr_Clear();
        return 0;
    }
    *formats &= (is_contiguous(t, numel) ? 1 : 0) | (is_channels_last(t) ? 2 : 0);
    t->data = (char *)t->data + t->byte_offset;
    return t->device.type == device && t->dtype.lanes == 1 && type_place(t) >= 0
        && *formats != 0 && !(*numel == 1 && is_negated(object));
}

static int same_shape(const dl_tensor *a, const dl_tensor *b)
{
    if (a->ndim != b->ndim || a->device.id != b->device.id)
        return 0;
    for (int i = 0; i < a->ndim; i++)
        if (a->shape[i] != b->shape[i])
            return 0;
    return 1;
}

/* Write a row; return 0 if the tensors are not for it. */
static int write_row(PyObject *param, PyObject *grad, PyObject *buffer, int device, int32_t *id,
    int64_t row[ROW])
{
    dl_tensor p, g, b;
    int64_t numel, other;
    int formats = 3, kind = NO_BUFFER;
    if (!read_for_row(param, device, &p, &numel, &formats))
        return 0;
    if (*id < 0)
        *id = p.device.id;
    if (p.device.id != *id)
        return 0;
    if (grad == Py_None) {
        row[0] = row[1] = row[2] = 0;
        row[3] = row[4] = -1;
        return 1;
    }
    if (!read_for_row(grad, device, &g, &other, &formats) || !same_shape(&p, &g))
        return 0;
    row[2] = 0;
    if (buffer != NULL) {
        if (!read_for_row(buffer, device, &b, &other, &formats) || !same_shape(&p, &b))
            return 0;
        row[2] = (int64_t)(intptr_t)b.data;
        kind = type_place(&b);
    }
    row[0] = (int64_t)(intptr_t)p.data;
    row[1] = (int64_t)(intptr_t)g.data;
    row[3] = numel;
    row[4] = type_place(&p) + 4 * type_place(&g) + 16 * kind;
    return 1;
}

/* The rows as bytes, or None. */
static PyObject *rows_of(PyObject *const *lists, int device)
{
    const Py_ssize_t n = PySequence_Fast_GET_SIZE(lists[0]);
    const Py_ssize_t buffers = PySequence_Fast_GET_SIZE(lists[2]);
    if (PySequence_Fast_GET_SIZE(lists[1]) != n || (buffers != 0 && buffers != n))
        Py_RETURN_NONE;
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, n * ROW * (Py_ssize_t)sizeof(int64_t));
    if (bytes == NULL)
        return NULL;
    int64_t *to = (int64_t *)PyBytes_AS_STRING(bytes);
    int32_t id = -1;
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *buffer = buffers ? PySequence_Fast_GET_ITEM(lists[2], i) : NULL;
        if (!write_row(PySequence_Fast_GET_ITEM(lists[0], i), PySequence_Fast_GET_ITEM(lists[1], i),
                buffer, device, &id, to + i * ROW)) {
            Py_DECREF(bytes);
            Py_RETURN_NONE;
        }
    }
    return bytes;
}

#endif
