/* One step on the layers of a group: measure, decide, update, each over chunks of the tensors. */
#ifndef ALPHAGRAD_LAYERS_H
#define ALPHAGRAD_LAYERS_H
#include "_bfloat16.h"
#include "_float32.h"
#include "_float64.h"
#include <math.h>

/* Sums are made per chunk and added in order, so they do not depend on the number of threads. */
#define CHUNK 131072
#define CHUNKS_AT_ONCE 128

enum { NESTEROV = 1, MAXIMIZE = 2, POOLED = 4, UNIT_RMS = 8, STOCHASTIC = 16 };
enum { ZERO, NON_FINITE, MISSING, LIVE }; /* what a layer is; the first three are skipped */

/* A number per tensor, or one for all where values is NULL. */
typedef struct {
    const float *values;
    double value;
} numbers;

typedef struct {
    const tensor *tensors;
    int64_t n;
    numbers alpha, beta, mix;
    float *saturation; /* n, written */
    int64_t *skipped;  /* (3, n), added to: zero, non-finite, missing */
    double lr, momentum, dampening, weight_decay, eps, tau, inv_scale;
    int flags, threads;
    uint64_t seed;
    const passes *with;
} group;

static inline double number(const numbers *of, int64_t i)
{
    return of->values == NULL ? of->value : of->values[i];
}

static inline int64_t chunk_length(const tensor *t, int64_t at)
{
    return t->numel - at < CHUNK ? t->numel - at : CHUNK;
}

static partial reduce(partial (*pass)(const tensor *, int64_t, int64_t, const rule *),
    const tensor *t, const rule *r, int threads)
{
    if (t->numel <= CHUNK) /* too little work to start threads for */
        return pass(t, 0, t->numel, r);
    partial total = {0, 0};
    const int64_t stride = (int64_t)CHUNKS_AT_ONCE * CHUNK;
    for (int64_t start = 0; start < t->numel; start += stride) {
        partial parts[CHUNKS_AT_ONCE];
        const int64_t end = t->numel - start < stride ? t->numel : start + stride;
        const int count = (int)((end - start + CHUNK - 1) / CHUNK);
#pragma omp parallel for num_threads(threads) if (threads > 1)
        for (int i = 0; i < count; i++) {
            const int64_t at = start + (int64_t)i * CHUNK;
            parts[i] = pass(t, at, chunk_length(t, at), r);
        }
        for (int i = 0; i < count; i++) {
            total.sum += parts[i].sum;
            total.count += parts[i].count;
        }
    }
    return total;
}

static int64_t update(const group *g, const tensor *t, const rule *r)
{
    if (t->numel <= CHUNK)
        return g->with->update(t, 0, t->numel, r);
    int64_t hits = 0;
    /* Backwards: the end of the gradient is what the norm left in the cache. */
#pragma omp parallel for num_threads(g->threads) reduction(+ : hits) if (g->threads > 1)
    for (int64_t i = (t->numel - 1) / CHUNK; i >= 0; i--)
        hits += g->with->update(t, i * CHUNK, chunk_length(t, i * CHUNK), r);
    return hits;
}

/* The rule of tensor i for a learning rate of 1, without momentum. */
static rule unit_rule(const group *g, int64_t i, double norm)
{
    const double alpha = number(&g->alpha, i), mix = number(&g->mix, i);
    const double sign = g->flags & MAXIMIZE ? -1 : 1, size = norm + g->eps;
    return (rule){
        /* An infinite scale would make NaN of the entries that are 0. */
        .scale = sign * fmin(alpha * g->inv_scale / size, DBL_MAX),
        .gain = mix * number(&g->beta, i),
        .linear = mix == 1 ? 0 : sign * (1 - mix) * fmin(g->inv_scale / size, DBL_MAX),
        .tau = g->tau,
    };
}

static rule whole_rule(const group *g, int64_t i, double norm, double factor)
{
    rule r = unit_rule(g, i, norm);
    r.gain *= factor * g->lr;
    r.linear *= factor * g->lr;
    r.keep = 1 - g->lr * g->weight_decay;
    r.momentum = g->momentum;
    r.blend = 1 - g->dampening;
    r.direct = g->flags & NESTEROV ? 1 : 0;
    r.ahead = g->flags & NESTEROV ? g->momentum : 1;
    r.stochastic = g->flags & STOCHASTIC;
    r.random = scramble(scramble(g->seed) + (uint64_t)i);
    return r;
}

/* What the shaped gradient of the tensors [first, end) is divided by, turned over. */
static double unit_rms(const group *g, int64_t first, int64_t end, double norm, int64_t count)
{
    double sum = 0;
    for (int64_t i = first; i < end; i++) {
        const rule r = unit_rule(g, i, norm);
        if (g->tensors[i].grad != NULL)
            sum += reduce(g->with->square, &g->tensors[i], &r, g->threads).sum;
    }
    return sum > 0 ? sqrt((double)count / sum) : 1;
}

/* One layer is the tensors [first, end) of a group; their norm is taken together. */
static void step_layer(const group *g, int64_t first, int64_t end)
{
    partial total = {0, 0};
    int present = 0;
    for (int64_t i = first; i < end; i++) {
        if (g->tensors[i].grad == NULL)
            continue;
        const partial one = reduce(g->with->measure, &g->tensors[i], NULL, g->threads);
        total.sum += one.sum;
        total.count += one.count;
        present = 1;
    }
    const int is = !present ? MISSING
        : !is_finite(total.sum) ? NON_FINITE
        : total.count == 0 ? ZERO : LIVE;
    float ratio = float_from(0x7fc00000); /* NaN */
    if (is == LIVE) {
        const double norm = sqrt(total.sum) * g->inv_scale;
        double factor = 1;
        if (g->flags & UNIT_RMS)
            factor = unit_rms(g, first, end, norm, total.count);
        int64_t hits = 0;
        for (int64_t i = first; i < end; i++) {
            const rule r = whole_rule(g, i, norm, factor);
            if (g->tensors[i].grad != NULL)
                hits += update(g, &g->tensors[i], &r);
        }
        if (norm >= g->eps) /* see LayerMath.scales */
            ratio = (float)((double)hits / (double)total.count);
    }
    for (int64_t i = first; i < end; i++) {
        g->saturation[i] = ratio;
        if (is != LIVE)
            g->skipped[is * g->n + i] += 1;
    }
}

static void step_group(const group *g)
{
    if (g->flags & POOLED)
        step_layer(g, 0, g->n);
    else
        for (int64_t i = 0; i < g->n; i++)
            step_layer(g, i, i + 1);
}

#endif
