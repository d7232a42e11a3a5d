// Stands in for cross_entropy_cuda.cu, embedding_gradient_cuda.cu, fp8_cuda.cu and
// fp8_product_cuda.cc in a build without CUDA.
#include <stdexcept>

#include "parallel/kernels/fp8_cuda.h"
#include "parallel/kernels/vocab_rows.h"

namespace phalanx {
namespace {

[[noreturn]] void refuse() {
  throw std::invalid_argument(
      "parallel.device: expected cpu, got cuda; this build has no CUDA parts");
}

}  // namespace

at::Tensor cross_entropy_statistics_cuda(const at::Tensor&, const at::Tensor&, int64_t) {
  refuse();
}
void cross_entropy_gradient_cuda_(const at::Tensor&, const at::Tensor&, const at::Tensor&, int64_t,
                                  const at::Tensor&) {
  refuse();
}
void add_rows_cuda_(const at::Tensor&, const at::Tensor&, const at::Tensor&) { refuse(); }
at::Tensor to_fp8_cuda(const at::Tensor&, bool, const at::Tensor&) { refuse(); }
bool takes_fp8_product(const at::Tensor&) { refuse(); }
void fp8_add_product_cuda(const at::Tensor&, const at::Tensor&, const at::Tensor&,
                          const at::Tensor&, const at::Tensor&) {
  refuse();
}

}  // namespace phalanx
