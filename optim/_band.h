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

/* S of the group: that of its layers, by their size. */
static float pooled(const banded *g)
{
    double hits = 0, entries = 0;
    for (int64_t i = 0; i < g->n; i++) {
        if (is_nan(g->saturation[i]))
            continue;
        const double d = (double)g->roots[i] * g->roots[i];
        hits += d * g->saturation[i];
        entries += d;
    }
    return entries > 0 ? (float)(hits / entries) : 0;
}

static void hold_group(const banded *g, const band *b)
{
    const float pool = g->small != NULL ? pooled(g) : 0;
    for (int64_t i = 0; i < g->n; i++) {
        if (is_nan(g->saturation[i]))
            continue;
        const float s = g->small != NULL && g->small[i] ? pool : g->saturation[i];
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

static int read_banded(PyObject *row, banded *to)
{
    enum { VECTORS = 7 };
    static const struct {
        int code, bits;
    } types[VECTORS] = {{DL_FLOAT, 32}, {DL_FLOAT, 32}, {DL_BOOL, 8}, {DL_BOOL, 8}, {DL_BOOL, 8},
        {DL_FLOAT, 32}, {DL_BOOL, 8}};
    void *at[VECTORS] = {NULL};
    if (!PyTuple_Check(row) || PyTuple_GET_SIZE(row) != VECTORS)
        return 0;
    for (int i = 0; i < VECTORS; i++) {
        PyObject *object = PyTuple_GET_ITEM(row, i);
        dl_tensor t;
        int64_t numel;
        if (i == VECTORS - 1 && object == Py_None)
            break;
        if (!read_tensor(object, &t, &numel) || !has_dtype(&t, types[i].code, types[i].bits)
            || t.ndim != 1 || (i > 0 && numel != to->n))
            return 0;
        to->n = numel;
        at[i] = t.data;
    }
    *to = (banded){at[0], at[1], at[5], at[2], at[3], at[4], at[6], to->n};
    return 1;
}

/* Hold every group, or none if one of them is not for this kernel. */
static PyObject *hold_band(PyObject *module, PyObject *args)
{
    PyObject *rows;
    band b;
    if (!PyArg_ParseTuple(args, "O!(fffffffff)", &PyList_Type, &rows, &b.low, &b.inner_low, &b.middle,
            &b.inner_high, &b.high, &b.gain, &b.max_log_step, &b.k_min, &b.k_max))
        return NULL;
    if (exchange == NULL)
        Py_RETURN_FALSE;
    banded group;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(rows); i++)
        if (!read_banded(PyList_GET_ITEM(rows, i), &group))
            Py_RETURN_FALSE;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(rows); i++)
        if (read_banded(PyList_GET_ITEM(rows, i), &group))
            hold_group(&group, &b);
    Py_RETURN_TRUE;
}

#endif
