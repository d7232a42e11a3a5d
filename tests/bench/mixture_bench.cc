// Prints how long a rank of a large run takes from nothing to its first batch, and a jump to the
// last step: a tokenizer of 100,000 tokens, 50 data sets of 200 shards and their held-out parts, a
// plan of 10 trillion tokens. Not a test: times depend on the machine. Build target mixture_bench.
#include <fmt/format.h>
#include <stdlib.h>

#include <chrono>
#include <cstdio>
#include <ctime>
#include <optional>
#include <set>

#include "data/tokenizer/tokenizer_file.h"
#include "tests/data/mixture/big_run.h"
#include "tests/data/tokenizer/tokenizer_samples.h"

namespace {

using namespace phalanx;
using namespace phalanx::testing;

/// Of the clock and of the processor, which on a busy machine tell more together.
struct Time {
  double wall_ms, cpu_ms;
};

template <typename Work>
Time measure(Work work) {
  const auto begin = std::chrono::steady_clock::now();
  const std::clock_t cpu = std::clock();
  work();
  const std::chrono::duration<double, std::milli> wall = std::chrono::steady_clock::now() - begin;
  return {wall.count(), 1e3 * static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC};
}

std::string text(const Time& time) {
  return fmt::format("{:6.1f} ms ({:.1f} of a core)", time.wall_ms, time.cpu_ms);
}

/// Tokens of random pairs of earlier ones, in a tokenizer.json as Hugging Face writes it.
void make_big_tokenizer(const std::string& folder) {
  TokenizerParts parts = sample_parts();
  parts.specials.clear();
  parts.merges.clear();
  parts.tokens.resize(256);
  std::set<std::string> known(parts.tokens.begin(), parts.tokens.end());
  Dice dice(3);
  while (parts.tokens.size() < 100'000) {
    const auto pick = [&] { return dice.between(0, std::ssize(parts.tokens) - 1); };
    const int64_t left = pick(), right = pick();
    const std::string token =
        parts.tokens[static_cast<size_t>(left)] + parts.tokens[static_cast<size_t>(right)];
    if (token.size() > 16 || !known.insert(token).second) continue;
    parts.merges.push_back({static_cast<int32_t>(left), static_cast<int32_t>(right),
                            static_cast<int32_t>(parts.tokens.size()),
                            static_cast<uint32_t>(parts.merges.size())});
    parts.tokens.push_back(token);
  }
  parts.specials.push_back({std::string(kEndOfDocument), 100'000});
  parts.tokens.emplace_back(kEndOfDocument);
  (void)save_tokenizer(Tokenizer(parts), folder);
}

void bench_start(const std::filesystem::path& folder, int64_t rank) {
  const int64_t memory = anonymous_memory();
  std::unique_ptr<Tokenizer> tokenizer;
  BigSources train, held_out;
  std::optional<BatchLoader> loader;
  const std::pair<const char*, Time> parts[] = {
      {"tokenizer", measure([&] { tokenizer = load_tokenizer(folder / "tokenizer"); })},
      {"manifests", measure([&] {
         train = open_big_sources(folder / "train", rank, 2048);
         held_out = open_big_sources(folder / "held-out", rank, 2048);
       })},
      {"plan", measure([&] { loader.emplace(load_big_run(train, rank, 2048)); })},
      {"first batch", measure([&] { (void)loader->next(); })},
      {"jump to the last step", measure([&] {
         loader->skip(10'000'000'000'000 / 4096 / 4096 - loader->cursor().step);
         (void)loader->next();
       })}};
  Time sum{0, 0};
  fmt::print("rank {} of 2048\n", rank);
  for (const auto& [name, time] : parts) {
    fmt::print("  {:<22} {}\n", name, text(time));
    sum = {sum.wall_ms + time.wall_ms, sum.cpu_ms + time.cpu_ms};
  }
  fmt::print("  {:<22} {}, {:.1f} MB\n", "together", text(sum),
             static_cast<double>(anonymous_memory() - memory) / 1e6);
}

}  // namespace

int main() {
  std::string name = (std::filesystem::temp_directory_path() / "phalanx-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp " + name);
  const std::filesystem::path folder = name;
  make_big_sources(folder / "train");
  make_big_sources(folder / "held-out", 2);
  make_big_tokenizer(folder / "tokenizer");
  for (int64_t rank = 0; rank < 3; ++rank) bench_start(folder, rank);
  std::filesystem::remove_all(folder);
}
