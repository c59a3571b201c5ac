#include <kindred/apps/console/device_report.h>
#include <kindred/engine/communicator/communicator.h>
#include <kindred/engine/counted.h>
#include <kindred/engine/cpu/parallel.h>
#include <kindred/engine/cpu/targets.h>
#include <kindred/engine/device_kernels.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/atomic_file.h>
#include <kindred/third_party/deflate/deflate.h>
#include <kindred/third_party/onednn/onednn.h>
#include <kindred/third_party/pictures/codec.h>

#include <fmt/ranges.h>  // defines: fmt::join

#include <algorithm>
#include <cstdio>
#include <set>

namespace kindred {

Precision usable_precision(Precision precision, Device device) {
  check_precision(precision, device);
  if (device == Device::cpu && precision.compute == DType::bf16 && !onednn::has_bf16()) {
    if (world().is_first()) fmt::print(stderr, "note: this processor cannot multiply bf16: computing in f32\n");
    precision.compute = DType::f32;
  }
  return precision;
}

Precision precision_for(const std::optional<std::string>& asked, Device device) {
  return usable_precision(asked ? parse_precision(*asked) : default_precision(device), device);
}

namespace {

// "pictures: JPEG, PNG (libdeflate 1.14), BMP, PPM and PGM; WebP (libwebp 1.2.4), TIFF (not built in)"
std::string picture_report() {
  std::vector<std::string> others;
  const auto add = [&](const char* formats, const third_party::PictureCodec& codec) {
    others.push_back(fmt::format("{} ({})", formats, codec.is_built_in() ? codec.library() : "not built in"));
  };
  add("WebP", third_party::webp_codec);
  add("TIFF", third_party::tiff_codec);
  add("GIF", third_party::gif_codec);
  add("HEIC and AVIF", third_party::heif_codec);
  return fmt::format("pictures: JPEG, PNG ({}), BMP, PPM and PGM; {}", third_party::deflate_library(),
                     fmt::join(others, ", "));
}

}  // namespace

std::string version_report() {
  return fmt::format("kindred {}\n{}\nprocessor: {}, {}\n{}", kindred_version, fmt::join(describe_cuda(), "\n"),
                     cpu_model_name(), name(cpu_target()), picture_report());
}

void report_device(const DeviceChoice& choice, const Precision& precision, std::FILE* out) {
  std::string what =
      choice.device == Device::reference ? "plain loops on one core" : counted(compute_threads(), "thread");
  if (choice.device == Device::cpu) what += " with " + name(cpu_target());
  std::vector<std::string> reasons{choice.reason};
  if (choice.device == Device::cuda)
    for (const std::string& library : libraries_of_cuda()) reasons.push_back(library);
  fmt::print(out, "device {} ({}): {}, {}, {}\n", name(choice.device), fmt::join(reasons, ", "),
             cpu_model_name(), what, name(precision));
  if (choice.device == Device::cpu && precision.compute == DType::bf16 && !cpu_has_bf16())
    fmt::print(out, "note: this processor has no bf16 instructions; f32 will be faster\n");
  std::fflush(out);
}

void write_bad_images(const std::filesystem::path& path, const std::vector<BadImage>& images,
                      const std::vector<std::string>& known) {
  const std::string header = "path\toutcome\treason";
  std::set<std::string> lines(known.begin(), known.end());
  lines.erase(header);
  for (const BadImage& image : images) {
    std::string shown = image.path;  // a tab or a line break in a name must not break the table
    std::replace_if(
        shown.begin(), shown.end(), [](char c) { return c == '\t' || c == '\n' || c == '\r'; }, '?');
    lines.insert(fmt::format("{}\t{}\t{}", shown, outcome_name(image.outcome), image.reason));
  }
  write_file_atomically(path,
                        fmt::format("{}\n{}{}", header, fmt::join(lines, "\n"), lines.empty() ? "" : "\n"),
                        system_files_without_links());
}

}  // namespace kindred
