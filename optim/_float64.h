/* The passes in float64: libm's tanh is what they cost, so nothing else is tuned. */
#ifndef ALPHAGRAD_FLOAT64_H
#define ALPHAGRAD_FLOAT64_H
#include "_passes.h"
#include <math.h>

static partial measure_float64(const tensor *t, int64_t at, int64_t n, const rule *r)
{
    const double *g = (const double *)t->grad + at;
    partial total = {0, 0};
    for (int64_t i = 0; i < n; i++) {
        total.sum += g[i] * g[i];
        total.count += g[i] != 0;
    }
    return total;
}

static partial square_float64(const tensor *t, int64_t at, int64_t n, const rule *r)
{
    const double *g = (const double *)t->grad + at;
    partial total = {0, 0};
    for (int64_t i = 0; i < n; i++) {
        double step = r->gain * tanh(r->scale * g[i]) + r->linear * g[i];
        total.sum += step * step;
    }
    return total;
}

static int64_t update_float64(const tensor *t, int64_t at, int64_t n, const rule *r)
{
    const double *g = (const double *)t->grad + at;
    double *p = (double *)t->param + at, *b = t->buffer == NULL ? NULL : (double *)t->buffer + at;
    int64_t hits = 0;
    for (int64_t i = 0; i < n; i++) {
        double x = r->scale * g[i];
        double step = r->gain * tanh(x) + r->linear * g[i];
        hits += fabs(x) > r->tau;
        if (b != NULL) {
            b[i] = r->momentum * b[i] + r->blend * step;
            step = r->direct * step + r->ahead * b[i];
        }
        p[i] = r->keep * p[i] - step;
    }
    return hits;
}

static const passes FLOAT64 = {measure_float64, square_float64, update_float64};

#endif
