// Inside data/ only: one opener per layout. dataset.cpp chooses among them.
#pragma once

#include <kindred/data/dataset.h>

#include <filesystem>

namespace kindred::detail {

struct OpenRequest {
  std::filesystem::path dir;
  Split split = Split::train;
  std::int64_t limit_per_class = 0;  // 0: all
  DecodeLimits limits;
};

// class_folders.cpp. Precondition: request.dir / "train" is a folder.
std::optional<Dataset> open_class_folders(const OpenRequest& request);

// cifar_binary.cpp
struct CifarLocation {
  std::filesystem::path dir;  // where the binary files lie
  int fine_classes = 0;       // 10 or 100
};
std::optional<CifarLocation> find_cifar_binary(const std::filesystem::path& dir);
std::optional<Dataset> open_cifar_binary(const OpenRequest& request, const CifarLocation& location);

}  // namespace kindred::detail
