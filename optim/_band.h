/* The rule that holds saturation in a band, on the packed vectors of parameter groups: what
 * alphagrad.scheduler.band_rule says, in a microsecond instead of twenty of torch's operations. */
#ifndef ALPHAGRAD_BAND_H
#define ALPHAGRAD_BAND_H
#include "_passes.h"
#include "_tensors.h"
#include <math.h>

enum { DL_BOOL = 6 };

typedef struct {
    float low, inner_low, middle, inner_high, high, gain, max_log_step, k_min, k_max;
} band;

typedef struct {
    float *alpha;
    const float *saturation, *roots; /* roots: √d */
    char *active;
    const char *covered, *pinned, *small; /* small is NULL where no layer is */
    int64_t n;
} banded;

static inline int is_nan(float x) { return (float_bits(x) & 0x7fffffff) > 0x7f800000; }

/* Whether α of a layer is where it cannot be moved further. */
static int is_at_bound(const banded *g, const band *b, int64_t i)
{
    return g->alpha[i] <= b->k_min * g->roots[i] || g->alpha[i] >= b->k_max * g->roots[i];
}

/* S of the group: that of the layers that α of this scheduler can move, by their size. */
static float pooled(const banded *g, const band *b)
{
    double hits = 0, entries = 0;
    for (int64_t i = 0; i < g->n; i++) {
        if (is_nan(g->saturation[i]) || !g->covered[i] || g->pinned[i]
            || (!g->small[i] && is_at_bound(g, b, i)))
            continue;
        const double d = (double)g->roots[i] * g->roots[i];
        hits += d * g->saturation[i];
        entries += d;
    }
    return entries > 0 ? (float)(hits / entries) : NAN;
}

static void hold_group(const banded *g, const band *b)
{
    const float pool = g->small != NULL ? pooled(g, b) : 0;
    for (int64_t i = 0; i < g->n; i++) {
        if (is_nan(g->saturation[i]))
            continue;
        const float s = g->small != NULL && g->small[i] ? pool : g->saturation[i];
        if (is_nan(s))
            continue;
        const int outside = s < b->low || s > b->high;
        const int inside = s >= b->inner_low && s <= b->inner_high;
        g->active[i] = (g->active[i] || outside) && !inside;
        if (!g->active[i] || !g->covered[i] || g->pinned[i])
            continue;
        float move = b->gain * (b->middle - s);
        move = move > b->max_log_step ? b->max_log_step : move;
        move = move < -b->max_log_step ? -b->max_log_step : move;
        if (move == 0)
            continue;
        const float least = b->k_min * g->roots[i], most = b->k_max * g->roots[i];
        float alpha = g->alpha[i] * expf(move);
        alpha = alpha < least ? least : alpha;
        g->alpha[i] = alpha > most ? most : alpha;
    }
}

enum { ALPHA, SATURATION, PINNED, TAU, KEYS };
static PyObject *keys[KEYS]; /* interned, which makes a look-up a comparison of addresses */

static int intern_keys(void)
{
    static const char *const names[KEYS] = {"alpha", "saturation", "pinned", "tau"};
    for (int i = 0; i < KEYS; i++)
        if (keys[i] == NULL && (keys[i] = PyUnicode_InternFromString(names[i])) == NULL)
            return -1;
    return 0;
}

/* A vector of n entries, or of any number that n then becomes; NULL if it is not one. */
static void *read_packed(PyObject *object, int code, int bits, int64_t *n)
{
    dl_tensor t;
    int64_t numel;
    if (object == NULL || !read_tensor(object, &t, &numel) || !has_dtype(&t, code, bits)
        || t.ndim != 1 || (*n >= 0 && numel != *n))
        return NULL;
    *n = numel;
    return address(&t);
}

/* Whether S was counted with τ, or moves no α of the group. */
static int is_counted(PyObject *group, const banded *g, double tau)
{
    PyObject *with = PyDict_GetItem(group, keys[TAU]);
    return memchr(g->covered, 1, (size_t)g->n) == NULL
        || (with != NULL && PyFloat_CheckExact(with) && PyFloat_AS_DOUBLE(with) == tau);
}

static int read_banded(PyObject *group, PyObject *own, double tau, banded *to)
{
    if (!PyDict_Check(group) || !PyTuple_Check(own) || PyTuple_GET_SIZE(own) != 4)
        return 0;
    to->n = -1;
    to->alpha = read_packed(PyDict_GetItem(group, keys[ALPHA]), DL_FLOAT, 32, &to->n);
    to->saturation = read_packed(PyDict_GetItem(group, keys[SATURATION]), DL_FLOAT, 32, &to->n);
    to->pinned = read_packed(PyDict_GetItem(group, keys[PINNED]), DL_BOOL, 8, &to->n);
    to->active = read_packed(PyTuple_GET_ITEM(own, 0), DL_BOOL, 8, &to->n);
    to->covered = read_packed(PyTuple_GET_ITEM(own, 1), DL_BOOL, 8, &to->n);
    to->roots = read_packed(PyTuple_GET_ITEM(own, 2), DL_FLOAT, 32, &to->n);
    PyObject *small = PyTuple_GET_ITEM(own, 3);
    to->small = small == Py_None ? NULL : read_packed(small, DL_BOOL, 8, &to->n);
    return to->alpha != NULL && to->saturation != NULL && to->pinned != NULL && to->active != NULL
        && to->covered != NULL && to->roots != NULL && (small == Py_None || to->small != NULL)
        && is_counted(group, to, tau);
}

/* Hold every group, or none if one of them is not for this kernel. */
static PyObject *hold_band(PyObject *module, PyObject *args)
{
    PyObject *groups, *own;
    double tau;
    band b;
    if (!PyArg_ParseTuple(args, "O!O!d(fffffffff)", &PyList_Type, &groups, &PyList_Type, &own, &tau,
            &b.low, &b.inner_low, &b.middle, &b.inner_high, &b.high, &b.gain, &b.max_log_step,
            &b.k_min, &b.k_max))
        return NULL;
    const Py_ssize_t count = PyList_GET_SIZE(groups);
    if (exchange == NULL || PyList_GET_SIZE(own) != count)
        Py_RETURN_FALSE;
    banded *read = PyMem_Malloc((size_t)(count + 1) * sizeof *read);
    if (read == NULL)
        return PyErr_NoMemory();
    Py_ssize_t n = 0;
    while (n < count
        && read_banded(PyList_GET_ITEM(groups, n), PyList_GET_ITEM(own, n), tau, &read[n]))
        n++;
    for (Py_ssize_t i = 0; i < count && n == count; i++)
        hold_group(&read[i], &b);
    PyMem_Free(read);
    return PyBool_FromLong(n == count);
}

#endif
