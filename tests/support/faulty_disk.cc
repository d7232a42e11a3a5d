#include "tests/support/faulty_disk.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace phalanx {

struct FaultyDisk::Node {
  using Bytes = std::shared_ptr<const std::string>;
  using Entries = std::map<std::string, NodePtr>;
  bool folder = false;
  Bytes bytes = std::make_shared<std::string>(), synced_bytes = bytes;
  Entries entries, synced_entries;

  void change(const std::function<void(std::string&)>& edit) {
    auto changed = std::make_shared<std::string>(*bytes);
    edit(*changed);
    bytes = std::move(changed);
  }
};

namespace {

namespace fs = std::filesystem;
using Node = FaultyDisk::Node;

// The C functions below have nowhere else to look.
std::atomic<FaultyDisk*> active{nullptr};

FaultyDisk::NodePtr read_node(const fs::path& path) {
  auto node = std::make_shared<Node>();
  node->folder = fs::is_directory(path);
  if (node->folder) {
    for (const auto& item : fs::directory_iterator(path)) {
      node->entries[item.path().filename().string()] = read_node(item.path());
    }
    node->synced_entries = node->entries;
  } else {
    std::ifstream file(path, std::ios::binary);
    node->bytes = node->synced_bytes = std::make_shared<std::string>(
        std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return node;
}

// Which of an entry's two fates it has: the entries of both views are asked one by one.
using KeepsName = std::function<bool(const std::string& path)>;

void collect(const Node& node, const std::string& at, bool synced_data, const KeepsName& newest,
             DiskState& state) {
  Node::Entries entries;
  for (const auto& [name, child] : node.synced_entries) {
    if (!newest(at + name)) entries[name] = child;
  }
  for (const auto& [name, child] : node.entries) {
    if (newest(at + name)) entries[name] = child;
  }
  for (const auto& [name, child] : entries) {
    state[at + name] = child->folder ? nullptr : synced_data ? child->synced_bytes : child->bytes;
    if (child->folder) collect(*child, at + name + "/", synced_data, newest, state);
  }
}

}  // namespace

FaultyDisk::FaultyDisk(const fs::path& folder)
    : folder_(fs::absolute(folder)), root_(read_node(folder)) {
  record();
  active = this;
}

FaultyDisk::~FaultyDisk() { active = nullptr; }

std::vector<std::string> FaultyDisk::calls() const {
  const std::lock_guard lock(mutex);
  return calls_;
}

std::string FaultyDisk::relative(const std::string& path) const {
  const std::string whole = fs::absolute(path).lexically_normal().string();
  const std::string prefix = folder_.string() + "/";
  if (whole == folder_.string() || whole == prefix) return ".";
  if (!whole.starts_with(prefix)) return "";
  std::string below = whole.substr(prefix.size());
  if (below.ends_with('/')) below.pop_back();
  return below;
}

FaultyDisk::NodePtr FaultyDisk::find(const std::string& relative) const {
  NodePtr node = root_;
  if (relative == ".") return node;
  for (const fs::path& part : fs::path(relative)) {
    const auto found = node->entries.find(part.string());
    if (found == node->entries.end()) return nullptr;
    node = found->second;
  }
  return node;
}

FaultyDisk::Place FaultyDisk::place_of(const std::string& relative) const {
  const fs::path path(relative);
  const std::string parent = path.parent_path().string();
  return {find(parent.empty() ? "." : parent), path.filename().string()};
}

FaultyDisk::Answer FaultyDisk::begin(const std::string& call) {
  calls_.push_back(call);
  return ask ? ask(calls_.size() - 1, call) : Answer{};
}

std::vector<DiskState> FaultyDisk::states_now() const {
  std::vector<DiskState> states;
  const auto add = [&](bool synced_data, const KeepsName& newest) {
    collect(*root_, "", synced_data, newest, states.emplace_back());
  };
  const auto all = [](const std::string&) { return true; };
  const auto none = [](const std::string&) { return false; };
  for (const bool synced_data : {false, true}) {
    add(synced_data, all);
    add(synced_data, none);
    for (size_t seed = 0; seed < 2; ++seed) {
      add(synced_data, [seed](const std::string& path) {
        return (std::hash<std::string>()(path) + seed) % 2 == 0;
      });
    }
  }
  return states;
}

void FaultyDisk::record() {
  for (DiskState& state : states_now()) {
    if (std::find(states_.begin(), states_.end(), state) == states_.end()) {
      states_.push_back(std::move(state));
    }
  }
}

void restore(const DiskState& state, const fs::path& folder) {
  fs::create_directories(folder);
  for (const auto& [name, bytes] : state) {
    if (bytes == nullptr) {
      fs::create_directories(folder / name);
    } else {
      std::ofstream(folder / name, std::ios::binary) << *bytes;
    }
  }
}

namespace {

// Runs a call in the real folder and, when it succeeded, in the model. `lie` is what it returns
// when it is to claim success without having done anything.
template <typename Call, typename Model>
long follow(const std::string& what, long lie, const Call& call, const Model& model) {
  FaultyDisk* disk = active;
  const std::lock_guard lock(disk->mutex);
  const FaultyDisk::Answer answer = disk->begin(what);
  if (answer.error != 0) {
    if (answer.fault == FaultyDisk::Fault::kLie) return lie;
    if (what.starts_with("close ")) call();
    errno = answer.error;
    return -1;
  }
  const long result = call();
  const int error = errno;
  if (result >= 0) model(*disk, result);
  disk->record();
  errno = error;
  return result;
}

std::string below(const char* path) {
  FaultyDisk* disk = active;
  return disk == nullptr ? "" : disk->relative(path);
}

// The relative path of an open file or folder that is followed; empty: none.
std::string below(int descriptor) {
  FaultyDisk* disk = active;
  if (disk == nullptr) return "";
  const std::lock_guard lock(disk->mutex);
  const auto found = disk->open_files.find(descriptor);
  return found == disk->open_files.end() ? "" : found->second.second;
}

FaultyDisk::NodePtr node_of(FaultyDisk& disk, int descriptor) {
  return disk.open_files.at(descriptor).first;
}

void move_node(FaultyDisk& disk, const std::string& from, const std::string& to, bool exchange) {
  const FaultyDisk::Place source = disk.place_of(from), target = disk.place_of(to);
  if (exchange) {
    std::swap(source.folder->entries[source.name], target.folder->entries[target.name]);
    return;
  }
  target.folder->entries[target.name] = source.folder->entries[source.name];
  source.folder->entries.erase(source.name);
}

int rename_followed(const char* from, const char* to, unsigned flags) {
  const auto call = [&] { return ::syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags); };
  const std::string source = below(from), target = below(to);
  if (source.empty() || target.empty()) return static_cast<int>(call());
  return static_cast<int>(
      follow("rename " + source + " " + target, 0, call, [&](FaultyDisk& disk, long) {
        move_node(disk, source, target, (flags & RENAME_EXCHANGE) != 0);
      }));
}

int remove_followed(int folder, const char* path, int flags) {
  const auto call = [&] { return ::syscall(SYS_unlinkat, folder, path, flags); };
  std::string whole = path;
  if (folder != AT_FDCWD && path[0] != '/') {
    std::error_code unknown;
    const fs::path link = "/proc/self/fd/" + std::to_string(folder);
    whole = (fs::read_symlink(link, unknown) / path).string();
  }
  const std::string name = below(whole.c_str());
  if (name.empty()) return static_cast<int>(call());
  return static_cast<int>(follow("unlink " + name, 0, call, [&](FaultyDisk& disk, long) {
    const FaultyDisk::Place place = disk.place_of(name);
    place.folder->entries.erase(place.name);
  }));
}

int open_followed(const char* path, int flags, mode_t mode) {
  const auto call = [&] { return ::syscall(SYS_openat, AT_FDCWD, path, flags, mode); };
  const std::string name = below(path);
  const bool writes = (flags & (O_CREAT | O_WRONLY | O_RDWR)) != 0;
  if (name.empty() || (!writes && (flags & O_DIRECTORY) == 0)) return static_cast<int>(call());
  const auto remember = [&](FaultyDisk& disk, long descriptor) {
    FaultyDisk::NodePtr node = disk.find(name);
    if (node == nullptr) {
      const FaultyDisk::Place place = disk.place_of(name);
      node = place.folder->entries[place.name] = std::make_shared<Node>();
    }
    if ((flags & O_TRUNC) != 0) node->bytes = std::make_shared<std::string>();
    disk.open_files[static_cast<int>(descriptor)] = {node, name};
  };
  if (writes) return static_cast<int>(follow("open " + name, -1, call, remember));
  FaultyDisk* disk = active;
  const std::lock_guard lock(disk->mutex);
  const long descriptor = call();
  if (descriptor >= 0 && disk->find(name) != nullptr) remember(*disk, descriptor);
  return static_cast<int>(descriptor);
}

ssize_t write_followed(const char* name_of_call, int descriptor, const void* bytes, size_t size,
                       off_t offset, const std::function<long()>& call) {
  const std::string name = below(descriptor);
  if (name.empty()) return call();
  return follow(std::string(name_of_call) + " " + name, static_cast<long>(size), call,
                [&](FaultyDisk& disk, long written) {
                  node_of(disk, descriptor)->change([&](std::string& text) {
                    const size_t at = offset < 0 ? text.size() : static_cast<size_t>(offset);
                    text.resize(std::max(text.size(), at + static_cast<size_t>(written)));
                    text.replace(at, static_cast<size_t>(written), static_cast<const char*>(bytes),
                                 static_cast<size_t>(written));
                  });
                });
}

int resize_followed(const char* name_of_call, int descriptor, off_t size, bool shrinks,
                    const std::function<long()>& call) {
  const std::string name = below(descriptor);
  if (name.empty()) return static_cast<int>(call());
  return static_cast<int>(
      follow(std::string(name_of_call) + " " + name, 0, call, [&](FaultyDisk& disk, long) {
        node_of(disk, descriptor)->change([&](std::string& text) {
          const auto wanted = static_cast<size_t>(size);
          if (shrinks || text.size() < wanted) text.resize(wanted);
        });
      }));
}

}  // namespace
}  // namespace phalanx

// Files opened by write() calls of this project only ever grow at their end.
extern "C" {
int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return phalanx::open_followed(path, flags, mode);
}
ssize_t write(int descriptor, const void* bytes, size_t size) {
  return phalanx::write_followed("write", descriptor, bytes, size, -1,
                                 [&] { return ::syscall(SYS_write, descriptor, bytes, size); });
}
ssize_t pwrite(int descriptor, const void* bytes, size_t size, off_t offset) {
  return phalanx::write_followed("pwrite", descriptor, bytes, size, offset, [&] {
    return ::syscall(SYS_pwrite64, descriptor, bytes, size, offset);
  });
}
int fallocate(int descriptor, int mode, off_t offset, off_t size) {
  return phalanx::resize_followed("fallocate", descriptor, offset + size, false, [&] {
    return ::syscall(SYS_fallocate, descriptor, mode, offset, size);
  });
}
int ftruncate(int descriptor, off_t size) noexcept {
  return phalanx::resize_followed("ftruncate", descriptor, size, true,
                                  [&] { return ::syscall(SYS_ftruncate, descriptor, size); });
}
int fsync(int descriptor) {
  const auto call = [&] { return ::syscall(SYS_fsync, descriptor); };
  const std::string name = phalanx::below(descriptor);
  if (name.empty()) return static_cast<int>(call());
  // Where a power cut is a model, so is the disk.
  const auto none = [] { return 0L; };
  return static_cast<int>(
      phalanx::follow("fsync " + name, 0, none, [&](phalanx::FaultyDisk& disk, long) {
        const auto node = phalanx::node_of(disk, descriptor);
        node->synced_bytes = node->bytes;
        node->synced_entries = node->entries;
      }));
}
int close(int descriptor) {
  const auto call = [&] { return ::syscall(SYS_close, descriptor); };
  const std::string name = phalanx::below(descriptor);
  if (name.empty()) return static_cast<int>(call());
  // Forgotten before another thread's open() can be given the number.
  const auto forget_and_call = [&] {
    phalanx::active.load()->open_files.erase(descriptor);
    return call();
  };
  const auto keep_model = [](phalanx::FaultyDisk&, long) {};
  return static_cast<int>(phalanx::follow("close " + name, 0, forget_and_call, keep_model));
}
int rename(const char* from, const char* to) noexcept {
  return phalanx::rename_followed(from, to, 0);
}
int renameat2(int, const char* from, int, const char* to, unsigned flags) noexcept {
  return phalanx::rename_followed(from, to, flags);
}
int unlink(const char* path) noexcept { return phalanx::remove_followed(AT_FDCWD, path, 0); }
int rmdir(const char* path) noexcept {
  return phalanx::remove_followed(AT_FDCWD, path, AT_REMOVEDIR);
}
int unlinkat(int folder, const char* path, int flags) noexcept {
  return phalanx::remove_followed(folder, path, flags);
}
int mkdir(const char* path, mode_t mode) noexcept {
  const auto call = [&] { return ::syscall(SYS_mkdirat, AT_FDCWD, path, mode); };
  const std::string name = phalanx::below(path);
  if (name.empty()) return static_cast<int>(call());
  return static_cast<int>(
      phalanx::follow("mkdir " + name, 0, call, [&](phalanx::FaultyDisk& disk, long) {
        const auto place = disk.place_of(name);
        place.folder->entries[place.name] = std::make_shared<phalanx::Node>();
        place.folder->entries[place.name]->folder = true;
      }));
}
}  // extern "C"
