// A folder that holds a folder for each class. The images of a class lie at any depth in its folder.
#pragma once

#include <kindred/data/sets/folders/image_names.h>
#include <kindred/data/sets/folders/walk.h>

#include <filesystem>
#include <string>
#include <vector>

namespace kindred::detail {

class ClassTree {
 public:
  // Lists the class folders. Throws Error(data).
  explicit ClassTree(std::filesystem::path folder);

  const std::filesystem::path& folder() const { return folder_; }
  const std::vector<std::string>& names() const { return names_; }  // of the class folders, sorted by bytes
  bool has(const std::string& name) const;

  // What lies in the folder of a class.
  struct Content {
    std::vector<std::string> images{};  // relative to its folder, sorted by their paths
    std::vector<std::string>
        dead_links{};        // the same of links that lead nowhere and stand for no image (dead_links.h)
    UnreadFormats unread{};  // files of formats that this build cannot read
  };
  // Links are followed (walk.h), but not to the folders of other classes, nor to folders above this one: those images are of
  // other classes. Precondition: has(name). Throws Error(data).
  Content content(const std::string& name) const;
  // Returns true if there is an image. Folders that cannot be listed are skipped.
  bool has_images(const std::string& name) const;
  // Counts the files of a class that this build cannot read. Folders that cannot be listed are skipped.
  UnreadFormats unread(const std::string& name) const;

 private:
  std::filesystem::path folder_;
  std::vector<std::string> names_;
  RealFolders closed_;
};

}  // namespace kindred::detail
