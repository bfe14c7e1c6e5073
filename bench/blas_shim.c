/* Sends the matrix products of MLX's Linux wheel to OpenBLAS. The wheel brings the reference BLAS, which is an order of
   magnitude slower on wide products, so that benchmarks on it would measure little else. bench/blas.py compiles and
   preloads this; the product never does. OpenBLAS here is the one inside numpy's wheel, whose sizes have 64 bits. */

#include <stdint.h>

#define SEND(kind, scalar)                                                                                             \
    extern void scipy_cblas_##kind##gemm64_(int, int, int, int64_t, int64_t, int64_t, scalar, const void *, int64_t,   \
                                            const void *, int64_t, scalar, void *, int64_t);                           \
    void cblas_##kind##gemm(int order, int left_as, int right_as, int rows, int columns, int inner, scalar alpha,      \
                            const void *left, int left_step, const void *right, int right_step, scalar beta,           \
                            void *out, int out_step)                                                                   \
    {                                                                                                                  \
        scipy_cblas_##kind##gemm64_(order, left_as, right_as, rows, columns, inner, alpha, left, left_step, right,     \
                                    right_step, beta, out, out_step);                                                  \
    }

SEND(s, float)
SEND(d, double)
