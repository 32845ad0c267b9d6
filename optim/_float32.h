/* The passes in float32, which are what a step's time goes to.
 *
 * They are bound by memory and by latency, so a chunk is not walked from its start to its end: its
 * three thirds (six sixths) are walked side by side, which keeps as many more loads and chains of
 * arithmetic going, and each is fetched ahead. */
#ifndef ALPHAGRAD_FLOAT32_H
#define ALPHAGRAD_FLOAT32_H
#include "_tanh.h"
#include <float.h>

#define LINE 16   /* floats of a cache line */
#define AHEAD 128 /* floats fetched ahead */
#define FETCH(address) __builtin_prefetch((address) + AHEAD)

typedef struct {
    float scale, linear, keep, momentum, blend, direct, ahead;
    int32_t bound;    /* bits of τ, or of τ² in the passes that are not general */
    float p[4], q[4]; /* of gain·P/Q with Q's leading coefficient 1, which saves operations */
} rule32;

/* An infinity among the factors would make NaN of the entries that are 0. */
static inline float bounded(double x)
{
    return (float)(x < -FLT_MAX ? -FLT_MAX : x > FLT_MAX ? FLT_MAX : x);
}

/* Say whether a step needs more than most do, or τ² cannot be told from the clamped x². */
static inline int is_general(const rule *r)
{
    const int countable = r->tau > 1e-15 && r->tau < 0.99 * LIMIT;
    return r->linear != 0 || r->keep != 1 || r->blend != 1 || r->direct != 0 || !countable;
}

static rule32 fold(const rule *r)
{
    rule32 k = {.scale = bounded(r->scale), .linear = bounded(r->linear), .keep = (float)r->keep,
        .momentum = (float)r->momentum, .blend = (float)r->blend, .direct = (float)r->direct,
        .ahead = (float)r->ahead};
    k.bound = (int32_t)float_bits(bounded(is_general(r) ? r->tau : r->tau * r->tau));
    for (int i = 0; i < 4; i++) {
        k.p[i] = bounded(r->gain * TANH_P[i] / TANH_Q[4]);
        k.q[i] = (float)(TANH_Q[i] / TANH_Q[4]);
    }
    return k;
}

/* gain·tanh(c), with y = c². */
INLINE float shape(float c, float y, const rule32 *k) { return ratio(c, y, k->p, k->q); }

/* Move entry i; `buffered` and `general` are constants where this is inlined. */
INLINE int32_t move(float *restrict p, const float *restrict g, float *restrict b, int64_t i,
    const rule32 *k, int buffered, int general)
{
    float x = g[i] * k->scale, c = clamp(x), y = c * c;
    float step = shape(c, y, k);
    if (general)
        step += k->linear * g[i];
    float by = step;
    if (buffered) {
        float v = k->momentum * b[i] + (general ? k->blend * step : step);
        b[i] = v;
        by = general ? k->direct * step + k->ahead * v : v;
    }
    p[i] = (general ? k->keep * p[i] : p[i]) - by;
    /* Magnitudes order as their bits do, and integers have units of their own to run on. */
    return (int32_t)(general ? float_bits(x) & 0x7fffffff : float_bits(y)) > k->bound;
}

/* Three times n entries, and `rest` more after the last ones. */
#define DEFINE_UPDATE(NAME, BUFFERED, GENERAL)                                                     \
    CLONES static int64_t NAME(float *restrict p0, float *restrict p1, float *restrict p2,         \
        const float *restrict g0, const float *restrict g1, const float *restrict g2,              \
        float *restrict b0, float *restrict b1, float *restrict b2, int64_t n, int64_t rest,       \
        const rule32 *rule)                                                                        \
    {                                                                                              \
        const rule32 k = *rule;                                                                    \
        int32_t hits = 0;                                                                          \
        for (int64_t i = 0; i < n; i += LINE) {                                                    \
            FETCH(g0 + i), FETCH(g1 + i), FETCH(g2 + i);                                           \
            FETCH(p0 + i), FETCH(p1 + i), FETCH(p2 + i);                                           \
            if (BUFFERED)                                                                          \
                FETCH(b0 + i), FETCH(b1 + i), FETCH(b2 + i);                                       \
            for (int64_t j = i; j < i + LINE; j++) {                                               \
                hits += move(p0, g0, b0, j, &k, BUFFERED, GENERAL);                                \
                hits += move(p1, g1, b1, j, &k, BUFFERED, GENERAL);                                \
                hits += move(p2, g2, b2, j, &k, BUFFERED, GENERAL);                                \
            }                                                                                      \
        }                                                                                          \
        for (int64_t i = n; i < n + rest; i++)                                                     \
            hits += move(p2, g2, b2, i, &k, BUFFERED, GENERAL);                                    \
        return hits;                                                                               \
    }

DEFINE_UPDATE(update_plain, 0, 0)
DEFINE_UPDATE(update_momentum, 1, 0)
DEFINE_UPDATE(update_plain_general, 0, 1)
DEFINE_UPDATE(update_momentum_general, 1, 1)

static int64_t update_floats(float *p, const float *g, float *b, int64_t n, const rule *r)
{
    const rule32 k = fold(r);
    const int64_t third = n / 3 / LINE * LINE, rest = n - 3 * third;
    const float *g1 = g + third, *g2 = g1 + third;
    float *p1 = p + third, *p2 = p1 + third;
    const int general = is_general(r);
    if (b == NULL)
        return (general ? update_plain_general : update_plain)(
            p, p1, p2, g, g1, g2, NULL, NULL, NULL, third, rest, &k);
    return (general ? update_momentum_general : update_momentum)(
        p, p1, p2, g, g1, g2, b, b + third, b + 2 * third, third, rest, &k);
}

#define RUN 256 /* entries of each sixth that are added up in float32: 32 per lane of AVX2 */

typedef struct {
    float sum;
    int32_t count;
} partial32;

CLONES static partial32 measure_six(const float *g0, const float *g1, const float *g2,
    const float *g3, const float *g4, const float *g5, int64_t n, int64_t rest)
{
    float s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0;
    int32_t count = 0;
    for (int64_t i = 0; i < n; i += LINE) {
        FETCH(g0 + i), FETCH(g1 + i), FETCH(g2 + i), FETCH(g3 + i), FETCH(g4 + i), FETCH(g5 + i);
        for (int64_t j = i; j < i + LINE; j++) {
            s0 += g0[j] * g0[j], s1 += g1[j] * g1[j], s2 += g2[j] * g2[j];
            s3 += g3[j] * g3[j], s4 += g4[j] * g4[j], s5 += g5[j] * g5[j];
            count += g0[j] != 0, count += g1[j] != 0, count += g2[j] != 0;
            count += g3[j] != 0, count += g4[j] != 0, count += g5[j] != 0;
        }
    }
    for (int64_t i = n; i < n + rest; i++) {
        s5 += g5[i] * g5[i];
        count += g5[i] != 0;
    }
    return (partial32){(s0 + s1) + (s2 + s3) + (s4 + s5), count};
}

CLONES static double square_sum(const float *g, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)g[i] * (double)g[i];
    return sum;
}

static partial measure_floats(const float *g, int64_t n)
{
    partial total = {0, 0};
    const int64_t sixth = n / 6 / LINE * LINE;
    for (int64_t at = 0; at == 0 || at < sixth; at += RUN) {
        const int64_t left = sixth - at, length = left < RUN ? left : RUN;
        const int64_t rest = length == left ? n - 6 * sixth : 0;
        const float *g0 = g + at, *g1 = g0 + sixth, *g2 = g1 + sixth, *g3 = g2 + sixth;
        const float *g4 = g3 + sixth, *g5 = g4 + sixth;
        const partial32 run = measure_six(g0, g1, g2, g3, g4, g5, length, rest);
        double sum = run.sum;
        /* Too large or too small for float32's squares; of bits, as NaN is neither. */
        const uint32_t least = float_bits(1e-30f), most = float_bits(1e36f);
        if (run.count > 0 && float_bits(run.sum) - least > most - least)
            sum = square_sum(g0, length) + square_sum(g1, length) + square_sum(g2, length)
                + square_sum(g3, length) + square_sum(g4, length) + square_sum(g5, length + rest);
        total.sum += sum;
        total.count += run.count;
    }
    return total;
}

CLONES static double square_floats(const float *g, int64_t n, const rule *r)
{
    const rule32 k = fold(r);
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        float c = clamp(g[i] * k.scale);
        float step = shape(c, c * c, &k) + k.linear * g[i];
        sum += (double)step * (double)step;
    }
    return sum;
}

static partial measure_float32(const tensor *t, int64_t at, int64_t n, const rule *r)
{
    return measure_floats((const float *)t->grad + at, n);
}

static partial square_float32(const tensor *t, int64_t at, int64_t n, const rule *r)
{
    return (partial){square_floats((const float *)t->grad + at, n, r), 0};
}

static int64_t update_float32(const tensor *t, int64_t at, int64_t n, const rule *r)
{
    float *b = t->buffer == NULL ? NULL : (float *)t->buffer + at;
    return update_floats((float *)t->param + at, (const float *)t->grad + at, b, n, r);
}

static const passes FLOAT32 = {measure_float32, square_float32, update_float32};

#endif
