#pragma once
// A disk that loses what was not synced, and fails or lies when told to, under one folder of the
// test's own process. faulty_disk.cc, linked into the test, takes the place of the C library's file
// functions: all but fsync still happens in the real folder, and is followed in a model that knows
// for each file and each folder's entries what a power cut could take away.
//
// One at a time. Threads: any may use files meanwhile. The code under test makes no concession to
// it. Files written through a mapping or an unlinked descriptor are not followed.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace phalanx {

/// What a power cut leaves below the folder, by relative path; null: a folder.
using DiskState = std::map<std::string, std::shared_ptr<const std::string>>;

class FaultyDisk {
 public:
  /// Follows `folder`; what is there now counts as synced.
  explicit FaultyDisk(const std::filesystem::path& folder);
  ~FaultyDisk();
  FaultyDisk(const FaultyDisk&) = delete;
  FaultyDisk& operator=(const FaultyDisk&) = delete;

  /// The calls so far, as "pwrite step-000001.tmp/rank-00000.safetensors".
  std::vector<std::string> calls() const;
  /// Every state in which a power cut could have left the folder so far, one or more for each call:
  /// all done, unsynced data lost, unsynced names lost, both, and names lost here and there.
  const std::vector<DiskState>& states() const { return states_; }
  /// Those in which one at this moment could leave it.
  std::vector<DiskState> states_now() const;

  enum class Fault { kError, kLie };
  /// Asked before each call; an error number makes it fail with that, or, with kLie, claim to be
  /// done and do nothing. 0: as usual.
  struct Answer {
    int error = 0;
    Fault fault = Fault::kError;
  };
  std::function<Answer(size_t number, const std::string& call)> ask;

  // For faulty_disk.cc.
  struct Node;
  using NodePtr = std::shared_ptr<Node>;
  struct Place {
    NodePtr folder;
    std::string name;
  };
  std::string relative(const std::string& path) const;  // empty: not below the folder
  Place place_of(const std::string& relative) const;
  NodePtr find(const std::string& relative) const;
  Answer begin(const std::string& call);
  void record();

  mutable std::recursive_mutex mutex;
  std::map<int, std::pair<NodePtr, std::string>> open_files;

 private:
  std::filesystem::path folder_;
  NodePtr root_;
  std::vector<std::string> calls_;
  std::vector<DiskState> states_;
};

/// Makes `folder`, which must not exist, hold a state.
void restore(const DiskState& state, const std::filesystem::path& folder);

}  // namespace phalanx
