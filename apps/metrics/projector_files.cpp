#include <kindred/apps/metrics/projector_files.h>
#include <kindred/apps/metrics/visible_text.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/atomic_file.h>
#include <kindred/engine/files/make_folders.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <system_error>

namespace kindred {
namespace {

constexpr const char *projector_config = "projector_config.pbtxt",
                     *projector_features = "projector_features.tsv",
                     *projector_metadata = "projector_metadata.tsv", *projector_sprite = "projector_sprite.jpg";

// The shortest text from which each value is read back to the bit.
std::string text_of_features(const ProjectorImages& images) {
  fmt::memory_buffer text;
  for (std::size_t i = 0; i < images.features.size(); ++i)
    fmt::format_to(std::back_inserter(text), "{}{}", images.features[i],
                   (static_cast<std::int64_t>(i) + 1) % images.dim == 0 ? '\n' : '\t');
  return fmt::to_string(text);
}

std::string text_of_names(const ProjectorImages& images) {
  std::string text = "class\tpath\n";
  for (std::size_t i = 0; i < images.paths.size(); ++i)
    text += visible_text(images.classes[i]) + "\t" + visible_text(images.paths[i]) + "\n";
  return text;
}

std::string text_of_config(const ProjectorImages& images, std::int64_t epoch) {
  std::string text = fmt::format(
      "embeddings {{\n  tensor_name: \"features after epoch {}\"\n  tensor_shape: {}\n  tensor_shape: {}\n"
      "  tensor_path: \"{}\"\n  metadata_path: \"{}\"\n",
      epoch, images.paths.size(), images.dim, projector_features, projector_metadata);
  if (!images.sprite.empty())
    text += fmt::format(
        "  sprite {{\n    image_path: \"{}\"\n    single_image_dim: {}\n    single_image_dim: {}\n  }}\n",
        projector_sprite, images.thumbnail_side, images.thumbnail_side);
  return text + "}\n";
}

void remove_file(const std::filesystem::path& file) {
  std::error_code error;
  const std::filesystem::file_type type = std::filesystem::symlink_status(file, error).type();
  if (type != std::filesystem::file_type::regular && type != std::filesystem::file_type::symlink) return;
  std::filesystem::remove(file, error);
  check(!error, ExitCode::io, "{} cannot be removed: {}; make its folder writable", file.string(),
        error.message());
}

}  // namespace

bool is_projector_file_name(const std::string& name) {
  return name == projector_config || name == projector_features || name == projector_metadata ||
         name == projector_sprite;
}

void write_projector_files(const std::filesystem::path& folder, const ProjectorImages& images,
                           std::int64_t epoch) {
  const std::size_t rows = images.paths.size();
  check(rows > 0 && images.dim > 0 && images.classes.size() == rows &&
            images.features.size() == rows * static_cast<std::size_t>(images.dim),
        ExitCode::internal, "{} paths, {} classes and {} features of {} for the projector", rows,
        images.classes.size(), images.features.size(), images.dim);
  check(std::all_of(images.features.begin(), images.features.end(),
                    [](float value) { return std::isfinite(value); }),
        ExitCode::non_finite, "{}: features are not finite, and the projector gets none", folder.string());
  make_folders(folder.string(), folder);
  const auto write = [&](const char* name, const std::string& bytes) {
    write_file_atomically(folder / name, bytes, system_files_without_links());
  };
  remove_file(folder / projector_config);
  write(projector_features, text_of_features(images));
  write(projector_metadata, text_of_names(images));
  if (images.sprite.empty())
    remove_file(folder / projector_sprite);
  else
    write(projector_sprite, images.sprite);
  write(projector_config, text_of_config(images, epoch));
}

}  // namespace kindred
