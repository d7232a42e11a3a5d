#pragma once
// Where the files of one data set are: in a folder, or in a store (data/store/store_files.h) from
// which they are fetched when they are needed.
//
// Local. Const methods may run in several threads at once. Errors: those of the folder or store.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace phalanx {

/// A file as the manifest of its data set describes it.
struct DatasetFile {
  std::string name;   // in the data set's folder
  int64_t bytes = 0;  // 0 with a folder: not recorded
  uint64_t xxh3 = 0;
  int64_t head_of = 0;  // more than 0: the first `bytes` of a file of so many
};

/// A whole file of this host, which stays as long as the lease lives.
struct HeldFile {
  std::filesystem::path path;
  std::shared_ptr<const void> lease = nullptr;
};

class FileSource {
 public:
  virtual ~FileSource() = default;
  /// The folder or URL, for messages.
  virtual const std::string& name() const = 0;
  /// The folder; nothing for a store, whose files are verified by their hashes as they come.
  virtual std::optional<std::filesystem::path> folder() const { return std::nullopt; }
  /// A small file, whole; refuses one longer than `max_bytes`.
  [[nodiscard]] virtual std::string read_text(const std::string& file, int64_t max_bytes) const = 0;
  /// May wait for the file to come.
  [[nodiscard]] virtual HeldFile hold(const DatasetFile& file) const = 0;
  /// That the file is there with its size, without reading it.
  virtual void check(const DatasetFile& file) const = 0;
  /// How many files check() is worth asking for at a start, of a rank's share.
  virtual size_t max_checks() const { return SIZE_MAX; }
  /// What is read next, in order: a store fetches it ahead and lets all else go.
  virtual void expect(const std::vector<DatasetFile>& files) const { (void)files; }
  /// Who waits in hold() at the moment gets an error.
  virtual void stop_waiting() const {}

  /// "NAME/FILE", for messages.
  [[nodiscard]] std::string place_of(const std::string& file) const { return name() + "/" + file; }
};

class FolderFiles : public FileSource {
 public:
  explicit FolderFiles(const std::filesystem::path& folder)
      : folder_(folder), name_(folder.string()) {}

  const std::string& name() const override { return name_; }
  std::optional<std::filesystem::path> folder() const override { return folder_; }
  std::string read_text(const std::string& file, int64_t max_bytes) const override;
  HeldFile hold(const DatasetFile& file) const override { return {folder_ / file.name}; }
  void check(const DatasetFile& file) const override;

 private:
  std::filesystem::path folder_;
  std::string name_;
};

}  // namespace phalanx
