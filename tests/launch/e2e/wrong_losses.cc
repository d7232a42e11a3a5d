// Preloaded into the program under test: what a rank computes as the losses of its rows is wrong,
// as on a processor that cannot be trusted. By environment variables:
//   PHALANX_WRONG_LOSSES     "RANK:PASS RANK:PASS...": training passes of ranks, from 1
//   PHALANX_WRONG_FACTOR     the losses are multiplied by it: nan, or a number
#include <ATen/ATen.h>
#include <dlfcn.h>

#include <atomic>
#include <cstdlib>
#include <string>

namespace {

using Sum = at::_ops::sum_dim_IntList;

Sum::ptr_schema next_sum() {
  static const auto found = reinterpret_cast<Sum::ptr_schema>(
      dlsym(RTLD_NEXT,
            "_ZN2at4_ops15sum_dim_IntList4callERKNS_6TensorEN3c1016OptionalArrayRefIlEEbSt8opt"
            "ionalINS5_10ScalarTypeEE"));
  if (found == nullptr) std::abort();
  return found;
}

bool is_wrong(long pass) {
  const char* rank = std::getenv("OMPI_COMM_WORLD_RANK");
  const char* wrong = std::getenv("PHALANX_WRONG_LOSSES");
  if (wrong == nullptr) return false;
  const std::string mine = " " + std::string(rank ? rank : "0") + ":" + std::to_string(pass) + " ";
  return (" " + std::string(wrong) + " ").find(mine) != std::string::npos;
}

std::atomic<long> passes{0};

void make_wrong(const at::Tensor& nats_R) {
  const double factor = std::atof(std::getenv("PHALANX_WRONG_FACTOR"));
  double* nats = nats_R.mutable_data_ptr<double>();
  for (int64_t row = 0; row < nats_R.numel(); ++row) nats[row] *= factor;
}

}  // namespace

// Only the losses of rows are summed like this. Inside it `std` is an operation of LibTorch.
at::Tensor Sum::call(const at::Tensor& self, at::OptionalIntArrayRef dim, bool keepdim,
                     ::std::optional<at::ScalarType> dtype) {
  at::Tensor sum = next_sum()(self, dim, keepdim, dtype);
  const bool of_rows = self.dim() == 2 && dtype == at::kDouble && self.scalar_type() == at::kFloat;
  if (of_rows && is_wrong(++passes)) make_wrong(sum);
  return sum;
}
