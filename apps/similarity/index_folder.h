// The folder of an index while a program changes it. One program changes it at a time; others search in it meanwhile, because
// files that index.json names are never changed, and index.json is replaced in one step.
#pragma once

#include <kindred/apps/similarity/index_file.h>

#include <filesystem>
#include <string>
#include <vector>

namespace kindred {

class IndexFolder {
 public:
  // For a new index: makes the folder, or takes an empty one, or one in which an earlier program was killed before its index
  // was whole, and locks it. Until commit() its index.json says that it is not complete. Throws Error(usage) for a folder
  // that holds anything else, or that another program is changing; Error(io).
  static IndexFolder made(const std::filesystem::path& folder);
  // For a whole index that is to be changed. Locks it, and removes files that a killed program left. Throws Error(file) if it
  // is none, Error(usage) if another program is changing it.
  static IndexFolder of(const std::filesystem::path& folder);

  IndexFolder(IndexFolder&& other) noexcept;
  IndexFolder& operator=(IndexFolder&&) = delete;
  // Without commit(): files that index.json does not name are removed, and of a new index all of it; also the folder, if it was
  // made here and is empty then.
  ~IndexFolder();

  const std::filesystem::path& path() const { return folder_; }
  const IndexContent& content() const { return content_; }  // as it is on the disk
  int next_number() const;                                  // for names of new files: above all that are there

  // index.json gets this content. Files that it does not name are removed. Throws Error(io).
  void commit(const IndexContent& content);

 private:
  explicit IndexFolder(const std::filesystem::path& folder);
  void lock();
  void check_takeable() const;
  void remove_unnamed() const noexcept;

  std::filesystem::path folder_;
  std::vector<std::filesystem::path> made_{};  // folders that had to be created, the innermost first
  bool is_new_ = false;                        // index.json says so
  bool may_remove_ = false;                    // content_ is what the disk has, and nobody else changes it
  int lock_ = -1;
  IndexContent content_{};
};

}  // namespace kindred
