/* One AlphaGrad step on the CPU: for each tensor a norm pass, then an update pass.
 *
 * No torch headers: tensors come as addresses, so one build serves every torch release. The loops
 * are plain C for the compiler to vectorise, once for AVX-512, AVX2 and the baseline; the dynamic
 * linker picks the best that the machine has. The update pass follows the norm pass tensor by
 * tensor, so the gradient of a small one is still in the cache. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CLONES
#endif

/* Sums are made per block and added in order, so they do not depend on the number of threads. */
#define BLOCK 16384
#define BLOCKS_AT_ONCE 1024
/* Below this many elements, starting threads costs more than they save. */
#define PARALLEL_FROM (8 * BLOCK)

typedef struct {
    char *param, *grad, *buffer; /* grad is NULL where missing, buffer without momentum */
    int64_t numel;
} tensor;

typedef struct {
    double square_sum;
    int64_t nonzero;
} measured;

typedef struct {
    double scale, lr, momentum, tau;
} options;

/* tanh(x) = x·P(x²)/Q(x²) up to 8.6, where tanh in float32 is 1; a weighted least-squares fit of our
 * own with a relative error of 1.4e-8, and 3.1e-7 in float32 arithmetic. */
static inline float tanh_float(float x)
{
    float c = x < -8.6f ? -8.6f : x > 8.6f ? 8.6f : x;
    float y = c * c;
    float p = 1.4082282895344633e-08f;
    p = p * y + 2.1122243197169155e-05f;
    p = p * y + 3.5263930913060904e-03f;
    p = p * y + 1.3406868278980255e-01f;
    p = p * y + 1.0f;
    float q = 8.070558692452323e-07f;
    q = q * y + 3.336256486363709e-04f;
    q = q * y + 2.5993866845965385e-02f;
    q = q * y + 4.674018919467926e-01f;
    q = q * y + 1.0f;
    float t = c * p / q;
    return t < -1.0f ? -1.0f : t > 1.0f ? 1.0f : t; /* rounding may pass 1 by one unit */
}

static inline float from_bf16(uint16_t x)
{
    uint32_t bits = (uint32_t)x << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint16_t to_bf16(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16; /* to nearest, ties to even */
    return x != x ? 0x7fc0 : (uint16_t)rounded;
}

#define SAME(x) (x)

/* The passes over one block, for a stored type, the type computed in, and the ways between them. */
#define DEFINE_PASSES(NAME, STORED, REAL, LOAD, STORE, TANH, ABS)                                  \
    CLONES static measured measure_##NAME(const STORED *restrict g, int64_t n)                    \
    {                                                                                             \
        double square_sum = 0;                                                                    \
        int32_t nonzero = 0;                                                                      \
        for (int64_t i = 0; i < n; i++) {                                                         \
            REAL x = LOAD(g[i]);                                                                  \
            square_sum += (double)x * (double)x;                                                  \
            nonzero += x != 0;                                                                    \
        }                                                                                         \
        return (measured){square_sum, nonzero};                                                   \
    }                                                                                             \
    CLONES static int64_t update_##NAME(                                                          \
        STORED *restrict p, const STORED *restrict g, int64_t n, const options *o)                \
    {                                                                                             \
        const REAL scale = (REAL)o->scale, lr = (REAL)o->lr, tau = (REAL)o->tau;                   \
        int32_t hits = 0;                                                                         \
        for (int64_t i = 0; i < n; i++) {                                                         \
            REAL u = LOAD(g[i]) * scale;                                                          \
            hits += ABS(u) > tau;                                                                 \
            p[i] = STORE(LOAD(p[i]) - lr * TANH(u));                                              \
        }                                                                                         \
        return hits;                                                                              \
    }                                                                                             \
    CLONES static int64_t update_momentum_##NAME(STORED *restrict p, const STORED *restrict g,    \
        STORED *restrict b, int64_t n, const options *o)                                          \
    {                                                                                             \
        const REAL scale = (REAL)o->scale, lr = (REAL)o->lr, tau = (REAL)o->tau;                   \
        const REAL momentum = (REAL)o->momentum;                                                  \
        int32_t hits = 0;                                                                         \
        for (int64_t i = 0; i < n; i++) {                                                         \
            REAL u = LOAD(g[i]) * scale;                                                          \
            hits += ABS(u) > tau;                                                                 \
            REAL v = momentum * LOAD(b[i]) + lr * TANH(u);                                        \
            b[i] = STORE(v);                                                                      \
            p[i] = STORE(LOAD(p[i]) - v);                                                         \
        }                                                                                         \
        return hits;                                                                              \
    }                                                                                             \
    static measured measure_block_##NAME(const tensor *t, int64_t at, int64_t n)                  \
    {                                                                                             \
        return measure_##NAME((const STORED *)t->grad + at, n);                                   \
    }                                                                                             \
    static int64_t update_block_##NAME(const tensor *t, int64_t at, int64_t n, const options *o)  \
    {                                                                                             \
        STORED *p = (STORED *)t->param + at;                                                      \
        const STORED *g = (const STORED *)t->grad + at;                                           \
        if (t->buffer == NULL)                                                                    \
            return update_##NAME(p, g, n, o);                                                     \
        return update_momentum_##NAME(p, g, (STORED *)t->buffer + at, n, o);                      \
    }

DEFINE_PASSES(f32, float, float, SAME, SAME, tanh_float, fabsf)
DEFINE_PASSES(f64, double, double, SAME, SAME, tanh, fabs)
DEFINE_PASSES(bf16, uint16_t, float, from_bf16, to_bf16, tanh_float, fabsf)

typedef struct {
    measured (*measure)(const tensor *, int64_t, int64_t);
    int64_t (*update)(const tensor *, int64_t, int64_t, const options *);
    double largest; /* finite number of the type computed in */
} passes;

static const passes PASSES[] = {
    {measure_block_f32, update_block_f32, FLT_MAX},
    {measure_block_f64, update_block_f64, DBL_MAX},
    {measure_block_bf16, update_block_bf16, FLT_MAX},
};

static inline int64_t block_length(const tensor *t, int64_t at)
{
    return t->numel - at < BLOCK ? t->numel - at : BLOCK;
}

static measured measure(const tensor *t, const passes *with, int threads)
{
    measured total = {0, 0};
    const int64_t stride = (int64_t)BLOCKS_AT_ONCE * BLOCK;
    for (int64_t start = 0; start < t->numel; start += stride) {
        measured parts[BLOCKS_AT_ONCE];
        int64_t end = t->numel - start < stride ? t->numel : start + stride;
        int count = (int)((end - start + BLOCK - 1) / BLOCK);
#pragma omp parallel for num_threads(threads) if (threads > 1 && t->numel >= PARALLEL_FROM)
        for (int i = 0; i < count; i++) {
            int64_t at = start + (int64_t)i * BLOCK;
            parts[i] = with->measure(t, at, block_length(t, at));
        }
        for (int i = 0; i < count; i++) {
            total.square_sum += parts[i].square_sum;
            total.nonzero += parts[i].nonzero;
        }
    }
    return total;
}

static int64_t update(const tensor *t, const passes *with, const options *o, int threads)
{
    int64_t hits = 0;
#pragma omp parallel for num_threads(threads) reduction(+ : hits) \
    if (threads > 1 && t->numel >= PARALLEL_FROM)
    for (int64_t at = 0; at < t->numel; at += BLOCK)
        hits += with->update(t, at, block_length(t, at), o);
    return hits;
}

typedef struct {
    const tensor *tensors;
    int64_t n;
    const float *alphas; /* NULL: alpha is the same for all */
    float *saturation;   /* n, written */
    int64_t *skipped;    /* (3, n), added to: zero, non-finite, missing */
    double alpha, eps;
    options options;
    int pooled, threads;
    const passes *with;
} group;

/* One layer is the tensors [first, end) of a group; their norm is taken together. */
static void step_layer(group *g, int64_t first, int64_t end)
{
    measured total = {0, 0};
    int present = 0;
    for (int64_t i = first; i < end; i++) {
        if (g->tensors[i].grad == NULL)
            continue;
        measured one = measure(&g->tensors[i], g->with, g->threads);
        total.square_sum += one.square_sum;
        total.nonzero += one.nonzero;
        present = 1;
    }
    float ratio = NAN;
    int reason = !present ? 2 : !isfinite(total.square_sum) ? 1 : total.nonzero == 0 ? 0 : -1;
    if (reason < 0) {
        double alpha = g->alphas == NULL ? g->alpha : g->alphas[first];
        options o = g->options;
        int64_t hits = 0;
        /* An infinite scale would make NaN of the entries that are 0. */
        o.scale = fmin(alpha / (sqrt(total.square_sum) + g->eps), g->with->largest);
        for (int64_t i = first; i < end; i++)
            if (g->tensors[i].grad != NULL)
                hits += update(&g->tensors[i], g->with, &o, g->threads);
        ratio = (float)((double)hits / (double)total.nonzero);
    }
    for (int64_t i = first; i < end; i++) {
        g->saturation[i] = ratio;
        if (reason >= 0)
            g->skipped[reason * g->n + i] += 1;
    }
}

static PyObject *step(PyObject *module, PyObject *args)
{
    Py_buffer table;
    unsigned long long alphas, saturation, skipped;
    int dtype;
    group g = {0};
    if (!PyArg_ParseTuple(args, "y*KdKKddddpii", &table, &alphas, &g.alpha, &saturation, &skipped,
            &g.options.lr, &g.options.momentum, &g.eps, &g.options.tau, &g.pooled, &dtype, &g.threads))
        return NULL;
    if (dtype < 0 || dtype >= (int)(sizeof PASSES / sizeof *PASSES)
        || table.len % (Py_ssize_t)sizeof(tensor) != 0) {
        PyBuffer_Release(&table);
        PyErr_Format(PyExc_ValueError, "step: dtype %d or table of %zd bytes", dtype, table.len);
        return NULL;
    }
    g.tensors = table.buf;
    g.n = table.len / (Py_ssize_t)sizeof(tensor);
    g.alphas = (const float *)(uintptr_t)alphas;
    g.saturation = (float *)(uintptr_t)saturation;
    g.skipped = (int64_t *)(uintptr_t)skipped;
    g.with = &PASSES[dtype];
    Py_BEGIN_ALLOW_THREADS
    if (g.pooled)
        step_layer(&g, 0, g.n);
    else
        for (int64_t i = 0; i < g.n; i++)
            step_layer(&g, i, i + 1);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&table);
    Py_RETURN_NONE;
}

static PyObject *tanh_of(PyObject *module, PyObject *args)
{
    double x;
    if (!PyArg_ParseTuple(args, "d", &x))
        return NULL;
    return PyFloat_FromDouble(tanh_float((float)x));
}

static PyMethodDef METHODS[] = {
    {"step", step, METH_VARARGS, "Update the tensors of one group; see alphagrad.optim.native."},
    {"tanh", tanh_of, METH_VARARGS, "The float32 tanh of the update pass, for its test."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT, "_kernels", "AlphaGrad's native CPU kernel.", 0, METHODS, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__kernels(void) { return PyModule_Create(&MODULE); }
