/* The passes on bfloat16: block by block through float32, and back with a choice of rounding. */
#ifndef ALPHAGRAD_BFLOAT16_H
#define ALPHAGRAD_BFLOAT16_H
#include "_float32.h"

#define BLOCK 1536 /* floats; three blocks stay in the first cache */

INLINE int is_number(uint32_t bits) { return (bits & 0x7fffffff) < 0x7f800000; }

CLONES static void widen(float *restrict to, const uint16_t *restrict from, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        to[i] = float_from((uint32_t)from[i] << 16);
}

/* Round to nearest, ties to even. */
CLONES static void narrow(uint16_t *restrict to, const float *restrict from, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits = float_bits(from[i]);
        uint32_t rounded = bits + 0x7fff + (bits >> 16 & 1);
        uint32_t nan = (bits & 0x7fffffff) > 0x7f800000 ? 0x7fc00000 : rounded;
        to[i] = (uint16_t)(nan >> 16);
    }
}

/* Avalanche a counter: each bit of it changes half of the result's. */
static uint64_t scramble(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* Round up with the probability that makes the expected result the value. The random bits are a
 * function of the key and the place, so they are the same with any number of threads. */
CLONES static void narrow_at_random(
    uint16_t *restrict to, const float *restrict from, int64_t n, uint64_t key)
{
    const uint32_t first = (uint32_t)key, second = (uint32_t)(key >> 32);
    for (int64_t i = 0; i < n; i++) {
        uint32_t random = first + (uint32_t)i;
        random = (random ^ random >> 16) * 0x7feb352du;
        random = (random ^ random >> 15 ^ second) * 0x846ca68bu;
        uint32_t bits = float_bits(from[i]);
        uint32_t nan = (bits & 0x7fffffff) > 0x7f800000 ? 0x7fc00000 : bits;
        to[i] = (uint16_t)((is_number(bits) ? bits + (random >> 16) : nan) >> 16);
    }
}

static partial measure_bfloat16(const tensor *t, int64_t at, int64_t n, const rule *r)
{
    const uint16_t *from = (const uint16_t *)t->grad + at;
    float g[BLOCK];
    partial total = {0, 0};
    for (int64_t i = 0; i < n; i += BLOCK) {
        int64_t length = n - i < BLOCK ? n - i : BLOCK;
        widen(g, from + i, length);
        partial one = measure_floats(g, length);
        total.sum += one.sum;
        total.count += one.count;
    }
    return total;
}

static partial square_bfloat16(const tensor *t, int64_t at, int64_t n, const rule *r)
{
    const uint16_t *from = (const uint16_t *)t->grad + at;
    float g[BLOCK];
    partial total = {0, 0};
    for (int64_t i = 0; i < n; i += BLOCK) {
        int64_t length = n - i < BLOCK ? n - i : BLOCK;
        widen(g, from + i, length);
        total.sum += square_floats(g, length, r);
    }
    return total;
}

static int64_t update_bfloat16(const tensor *t, int64_t at, int64_t n, const rule *r)
{
    const uint16_t *grad = (const uint16_t *)t->grad + at;
    uint16_t *param = (uint16_t *)t->param + at;
    uint16_t *buffer = t->buffer == NULL ? NULL : (uint16_t *)t->buffer + at;
    float p[BLOCK], g[BLOCK], b[BLOCK];
    int64_t hits = 0;
    for (int64_t i = 0; i < n; i += BLOCK) {
        int64_t length = n - i < BLOCK ? n - i : BLOCK;
        widen(p, param + i, length);
        widen(g, grad + i, length);
        if (buffer != NULL)
            widen(b, buffer + i, length);
        hits += update_floats(p, g, buffer == NULL ? NULL : b, length, r);
        if (buffer != NULL)
            narrow(buffer + i, b, length);
        if (r->stochastic)
            narrow_at_random(param + i, p, length, scramble(r->random + (uint64_t)(at + i)));
        else
            narrow(param + i, p, length);
    }
    return hits;
}

static const passes BFLOAT16 = {measure_bfloat16, square_bfloat16, update_bfloat16};

#endif
