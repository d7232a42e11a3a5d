// How fast a data set comes from a store, all its files once: what a run's first pass over a cold
// cache can take in. fetch_bench.py gives it a server on the loopback and curl as its peer.
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "data/shards/dataset_reader.h"
#include "data/store/open_dataset.h"

namespace {

constexpr const char* kUsage =
    "fetch_bench URL CACHE CONNECTIONS\n"
    "Fetches the data set at URL into the folder CACHE and prints files, bytes and seconds.\n"
    "Example: fetch_bench http://127.0.0.1:8000/web /var/tmp/bench-cache 4\n";

}  // namespace

int main(int argc, char** argv) {
  using namespace phalanx;
  if (argc != 4) {
    std::fputs(kUsage, argc == 2 && std::string(argv[1]) == "--help" ? stdout : stderr);
    return argc == 2 ? 0 : 2;
  }
  StoreSettings settings;
  settings.cache = argv[2];
  settings.connections = std::atoll(argv[3]);
  const auto files = std::make_shared<FilePool>();
  DatasetOpener opener(settings, {}, files);
  const DatasetReader reader(opener.open({argv[1]}).train, ReaderOptions{files});
  const auto begin = std::chrono::steady_clock::now();
  std::vector<size_t> shards;
  for (size_t i = 0; i < reader.manifest().shards.size(); ++i) shards.push_back(i);
  reader.expect(shards, {});
  std::vector<HeldFile> held;
  for (const size_t shard : shards) {
    held.push_back(reader.source().hold(reader.bin_file(shard)));
    held.push_back(reader.source().hold(reader.idx_file(shard)));
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  const FetchCounts counts = opener.queue()->counts();
  fmt::print("{} {} {:.4f}\n", counts.files, counts.bytes, seconds.count());
}
