/* What the passes over the numbers of a tensor share, whatever their type. */
#ifndef ALPHAGRAD_PASSES_H
#define ALPHAGRAD_PASSES_H
#include <stdint.h>
#include <string.h>

/* The loops are plain C for the compiler to vectorise, once for AVX-512, AVX2 and the baseline; the
 * dynamic linker picks the best that the machine has. */
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CLONES
#endif
#define INLINE static inline __attribute__((always_inline))

typedef struct {
    char *param, *grad, *buffer; /* grad is NULL where missing, buffer without momentum */
    int64_t numel;
} tensor;

/* How one tensor moves, with g an entry of its gradient:
 *     step = gain·tanh(scale·g) + linear·g
 *     param = keep·param − step, or with a buffer
 *     buffer = momentum·buffer + blend·step;  param = keep·param − (direct·step + ahead·buffer) */
typedef struct {
    double scale, gain, linear, keep, momentum, blend, direct, ahead, tau;
    uint64_t random; /* a key of stochastic rounding, used where `stochastic` is set */
    int stochastic;
} rule;

typedef struct {
    double sum;
    int64_t count;
} partial;

/* The passes over n entries of a tensor, from entry `at` on. */
typedef struct {
    partial (*measure)(const tensor *, int64_t at, int64_t n, const rule *); /* Σg², g ≠ 0 */
    partial (*square)(const tensor *, int64_t at, int64_t n, const rule *);  /* Σstep² */
    int64_t (*update)(const tensor *, int64_t at, int64_t n, const rule *);  /* |scale·g| > τ */
} passes;

/* The compiler is told that there are no NaN and infinities, so that min and max are single
 * instructions: wherever they can occur they are looked for in the bits. */
static inline int is_finite(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (bits >> 52 & 0x7ff) != 0x7ff;
}

INLINE uint32_t float_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

INLINE float float_from(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

#endif
