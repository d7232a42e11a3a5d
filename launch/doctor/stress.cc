#include "launch/doctor/stress.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>
#include <c10/core/DeviceGuard.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <sstream>

#include "trainer/work_times.h"

namespace phalanx {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kCpuSize = 512, kGpuSize = 8192;             // rows and columns of a product
constexpr int64_t kCpuFloats = 1 << 21, kGpuFloats = 1 << 25;  // 8 and 128 MiB
constexpr int kProductsAtOnce = 8;
constexpr int kMaxRanksOfHost = 4096;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

at::Device device_of(const Session& session, bool cuda) {
  if (!cuda) return at::kCPU;
  return at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(session.device_index()));
}

/// Kernels may still run when their calls return; reading a value waits for them.
void wait_for(const at::Tensor& tensor) { (void)tensor.view({-1})[0].item(); }

double measure_products(at::Device device, double seconds) {
  const bool cuda = device.is_cuda();
  const int64_t size = cuda ? kGpuSize : kCpuSize;
  const auto options = at::TensorOptions(device).dtype(cuda ? at::kBFloat16 : at::kFloat);
  const at::Tensor a_NN = at::full({size, size}, 1.0 / double(size), options);
  at::Tensor product_NN = at::mm(a_NN, a_NN);
  wait_for(product_NN);
  const Clock::time_point begin = Clock::now();
  int64_t count = 0;
  do {
    for (int i = 0; i < kProductsAtOnce; ++i) product_NN = at::mm(a_NN, a_NN);
    wait_for(product_NN);
    count += kProductsAtOnce;
  } while (seconds_since(begin) < seconds);
  return 2.0 * double(size) * double(size) * double(size) * double(count) / seconds_since(begin);
}

/// The same number of all-reduces on all ranks of the world, from the time that the slowest took.
double measure_link(Communicator& pair, Communicator& control, at::Device device, double seconds) {
  const int64_t floats = device.is_cuda() ? kGpuFloats : kCpuFloats;
  const at::Tensor data_N = at::zeros({floats}, at::TensorOptions(device).dtype(at::kFloat));
  const auto reduce = [&](int64_t times) {
    const Clock::time_point begin = Clock::now();
    for (int64_t i = 0; i < times; ++i) pair.all_reduce(data_N, ReduceOp::kSum)->wait();
    wait_for(data_N);
    return seconds_since(begin);
  };
  reduce(1);  // connections are made on first use
  const at::Tensor slowest = at::full({1}, reduce(1), at::kDouble);
  control.all_reduce(slowest, ReduceOp::kMax)->wait();
  const double each = std::max(slowest.item<double>(), 1e-6);
  const auto times = static_cast<int64_t>(std::clamp(seconds / each, 1.0, 1e6));
  const double took = reduce(times);
  if (pair.size() == 1) return 0;
  return double(floats) * sizeof(float) * double(times) / took;
}

/// Ranks of equal place on the two hosts of a pair; one without a partner is alone in its group.
int color_of(const StressPairs& pairs, const Session& session, int round) {
  const int rank = session.rank();
  const int unit = pairs.unit_of_rank[static_cast<size_t>(rank)];
  const int pair = pair_of_unit(unit, pairs.num_units, round);
  if (pair < 0) return pairs.num_units * kMaxRanksOfHost + rank;
  return pair * kMaxRanksOfHost + (pairs.units_are_hosts ? session.local_rank() : 0);
}

std::string to_text(const StressResult& result) {
  return fmt::format("{} {} {}", result.flops, result.link_bytes[0], result.link_bytes[1]);
}

StressResult from_text(const std::string& text) {
  std::istringstream words(text);
  StressResult result;
  words >> result.flops >> result.link_bytes[0] >> result.link_bytes[1];
  return result;
}

}  // namespace

StressPairs stress_pairs(const std::vector<std::string>& host_of_rank) {
  std::map<std::string, int> hosts;
  StressPairs pairs;
  for (const std::string& host : host_of_rank) {
    pairs.unit_of_rank.push_back(hosts.try_emplace(host, int(hosts.size())).first->second);
  }
  pairs.units_are_hosts = hosts.size() > 1;
  pairs.num_units = int(pairs.units_are_hosts ? hosts.size() : host_of_rank.size());
  if (pairs.units_are_hosts) return pairs;
  for (size_t rank = 0; rank < host_of_rank.size(); ++rank) pairs.unit_of_rank[rank] = int(rank);
  return pairs;
}

int pair_of_unit(int unit, int num_units, int round) {
  // Two units have one pair, and an odd number leaves one out each time.
  if (num_units < 2 || (round == 1 && num_units == 2)) return -1;
  const int place = round == 0 ? unit : (unit + num_units - 1) % num_units;
  return place == num_units - 1 && num_units % 2 == 1 ? -1 : place / 2;
}

std::vector<StressResult> run_stress(Session& session, const std::vector<std::string>& hosts,
                                     double seconds, bool cuda) {
  Communicator& control = session.control();
  const at::Device device = device_of(session, cuda);
  const c10::DeviceGuard guard(device);
  const StressPairs pairs = stress_pairs(hosts);
  StressResult mine;
  control.barrier();
  mine.flops = measure_products(device, seconds / 2);
  control.barrier();
  const std::unique_ptr<Communicator> world =
      cuda ? session.make_groups(make_mesh(session.rank(), session.size(), 1)).world
           : control.split(0, session.rank(), "world");
  for (int round = 0; round < 2; ++round) {
    const auto pair = world->split(color_of(pairs, session, round), session.rank(), "pair");
    mine.link_bytes[round] = measure_link(*pair, control, device, seconds / 4);
    control.barrier();
  }
  std::vector<StressResult> results;
  for (const std::string& text : all_gather_strings(control, to_text(mine))) {
    results.push_back(from_text(text));
  }
  return results;
}

std::vector<size_t> slow_ones(const std::vector<double>& speeds) {
  std::vector<double> sorted = speeds;
  std::sort(sorted.begin(), sorted.end());
  std::vector<size_t> slow;
  for (size_t i = 0; i < speeds.size(); ++i) {
    // The upper one of two: of two units the slower is named.
    if (speeds[i] < kStragglerScore * sorted[sorted.size() / 2]) slow.push_back(i);
  }
  return slow;
}

std::vector<double> unit_link_speeds(const StressPairs& pairs,
                                     const std::vector<StressResult>& results) {
  std::vector<double> best(static_cast<size_t>(pairs.num_units), 0.0);
  for (int round = 0; round < 2; ++round) {
    std::vector<double> worst_rank(best.size(), -1.0);
    for (size_t rank = 0; rank < results.size(); ++rank) {
      double& speed = worst_rank[static_cast<size_t>(pairs.unit_of_rank[rank])];
      const double found = results[rank].link_bytes[round];
      if (found == 0) continue;  // without a partner
      speed = speed < 0 ? found : std::min(speed, found);
    }
    for (size_t unit = 0; unit < best.size(); ++unit) {
      best[unit] = std::max(best[unit], worst_rank[unit]);
    }
  }
  return best;
}

}  // namespace phalanx
