#pragma once
// How the matrices of a linear layer are multiplied.
namespace phalanx {

/// In the compute type (gemm.h), or in fp8 (fp8.h).
enum class Products { kCompute, kFp8 };

}  // namespace phalanx
