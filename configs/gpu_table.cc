#include "configs/gpu_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cctype>
#include <set>
#include <stdexcept>
#include <utility>

#include "configs/entries_of.h"
#include "configs/suggest.h"
#include "configs/tree_reader.h"
#include "configs/units.h"
#include "configs/value_schema.h"
#include "configs/values.h"
#include "data/file.h"

namespace phalanx {
namespace {

constexpr int64_t kMaxFileBytes = 1 << 20;
constexpr double kTera = 1e12, kGiga = 1e9, kMilli = 1e-3, kMicro = 1e-6;

/// A number in the unit that the field's name ends with.
Value scaled_value(double& variable, double unit) {
  return {kPositive.name,
          [&variable, unit](const ConfigNode& node) {
            double number = 0;
            real_value(number, kPositive).read(node);
            variable = number * unit;
          },
          [&variable, unit] { return format_real(variable / unit); },
          [=] { return schema_of_real(kPositive); }};
}

Value bytes_value(int64_t& variable) {
  const std::string accepts = "a size in bytes (80GiB)";
  return {accepts,
          [&variable, accepts](const ConfigNode& node) {
            std::string text;
            text_value(text).read(node);
            try {
              variable = parse_bytes(text);
            } catch (const std::invalid_argument&) {
              throw std::invalid_argument(fmt::format("expected {}, got '{}'", accepts, text));
            }
          },
          [&variable] { return fmt::format("{}B", variable); }, schema_of_bytes};
}

void declare_gemm(SchemaVisitor& v, GemmPoint& point) {
  v.field({"size", "cbrt(m n k) of a product", Tag::kFree, true},
          real_value(point.size, kPositive));
  v.field({"share", "of the peak", Tag::kFree, true}, real_value(point.share, kPart));
}

void declare_links(SchemaVisitor& v, Accelerator& a) {
  const auto field = [&v](const char* name, const char* doc, const Value& value) {
    v.field({name, doc, Tag::kFree, true}, value);
  };
  field("ranks_per_node", "ranks that the fast links join",
        integer_value(a.ranks_per_node, 1, "ranks"));
  field("link_gb_s", "of a rank inside a node, reached", scaled_value(a.link_bandwidth, kGiga));
  field("network_gb_s", "of a rank's network card, reached",
        scaled_value(a.network_bandwidth, kGiga));
  field("link_latency_us", "of a step of a collective", scaled_value(a.link_latency, kMicro));
  field("network_latency_us", "of a step of a collective", scaled_value(a.network_latency, kMicro));
  field("network_step_ms", "lost a step where replicas meet over the network",
        scaled_value(a.network_step_seconds, kMilli));
  field("host_gb_s", "between device and host memory", scaled_value(a.host_bandwidth, kGiga));
  field("storage_gb_s", "of a node to the checkpoints", scaled_value(a.storage_bandwidth, kGiga));
}

void declare_gpu(SchemaVisitor& v, Accelerator& a) {
  const auto field = [&v](const char* name, const char* doc, const Value& value) {
    v.field({name, doc, Tag::kFree, true}, value);
  };
  field("source", "where the figures come from", text_value(a.source));
  field("device", "what a run calls it",
        enum_value<DeviceKind>(a.device, {{"cpu", DeviceKind::kCpu}, {"cuda", DeviceKind::kCuda}}));
  field("bf16_tflops", "peak", scaled_value(a.bf16_flops, kTera));
  field("fp32_tflops", "peak", scaled_value(a.fp32_flops, kTera));
  v.field({"fp8_tflops", "peak; left out where there is none", Tag::kFree},
          scaled_value(a.fp8_flops, kTera));
  field("memory", "of a rank", bytes_value(a.memory_bytes));
  field("runtime_memory", "taken before the first tensor", bytes_value(a.runtime_bytes));
  field("memory_gb_s", "as elementwise kernels reach it", scaled_value(a.memory_bandwidth, kGiga));
  declare_links(v, a);
  field("attention_share", "of the peak, in attention", real_value(a.attention_share, kPart));
  v.list({"gemm", "share of the peak by size", Tag::kFree, true}, entries_of(a.gemm, declare_gemm));
}

void check_curve(const Accelerator& a, const Origins& origins, Problems& problems) {
  for (size_t i = 1; i < a.gemm.size(); ++i) {
    if (a.gemm[i].size > a.gemm[i - 1].size) continue;
    const std::string path = fmt::format("gpus.{}.gemm[{}].size", a.name, i);
    const auto origin = origins.find(path);
    problems.add(origin == origins.end() ? Origin{} : origin->second, path,
                 fmt::format("expected more than the {:g} before, got {:g}", a.gemm[i - 1].size,
                             a.gemm[i].size));
  }
}

GpuTable read_file(const std::string& file) {
  Problems problems;
  const ConfigNode root = parse_yaml(read_text(file, kMaxFileBytes), file, problems);
  problems.throw_if_any();
  GpuTable table;
  TreeReader reader(root, {}, problems);
  reader.table({"gpus", "kinds by name", Tag::kFree, true},
               entries_of(table, [](SchemaVisitor& v, const std::string& name, Accelerator& a) {
                 a.name = name;
                 v.section({name, "a kind"}, [&] { declare_gpu(v, a); });
               }));
  reader.finish();
  for (const auto& [name, accelerator] : table) {
    check_curve(accelerator, reader.origins(), problems);
  }
  problems.throw_if_any();
  return table;
}

}  // namespace

GpuTable read_gpu_table(const std::vector<std::string>& files) {
  GpuTable table;
  for (const std::string& file : files) {
    for (auto& [name, accelerator] : read_file(file)) table[name] = accelerator;
  }
  return table;
}

const Accelerator* find_gpu_called(const GpuTable& table, const std::string& makers_name) {
  std::set<std::string> words{""};
  std::string word;
  for (const char c : makers_name + ' ') {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0) {
      word += static_cast<char>(std::tolower(byte));
    } else {
      words.insert(std::exchange(word, ""));
    }
  }
  if (words.contains("pcie") || words.contains("nvl")) return nullptr;
  for (const auto& [kind, accelerator] : table) {
    if (accelerator.device == DeviceKind::kCuda && words.contains(kind)) return &accelerator;
  }
  return nullptr;
}

const Accelerator& find_gpu(const GpuTable& table, const std::string& name) {
  const auto found = table.find(name);
  if (found != table.end()) return found->second;
  std::vector<std::string> known;
  for (const auto& [kind, accelerator] : table) known.push_back(kind);
  const auto near = nearest(name, known);
  throw std::invalid_argument(fmt::format("--gpu: expected one of {}, got '{}'{}",
                                          fmt::join(known, ", "), name,
                                          near ? fmt::format("; did you mean '{}'?", *near) : ""));
}

}  // namespace phalanx
