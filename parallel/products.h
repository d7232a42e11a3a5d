#pragma once
// How the matrices of a linear layer are multiplied.
namespace phalanx {

/// In the compute type (gemm.h), or in fp8 (fp8.h): with one scale for each matrix, or one for each
/// of the rows and columns whose products are summed.
enum class Products { kCompute, kFp8, kFp8Rowwise };
/// kRows: of each row of a factor as it enters a product.
enum class Fp8Scaling { kTensor, kRows };

}  // namespace phalanx
