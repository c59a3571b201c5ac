#include <kindred/apps/console/preparation_flags.h>
#include <kindred/apps/console/progress.h>  // defines: one_line
#include <kindred/apps/evaluation/given_weights.h>
#include <kindred/apps/similarity/index_encoder.h>
#include <kindred/engine/error.h>
#include <kindred/models/choices.h>
#include <kindred/models/classifier_file.h>

#include <system_error>

namespace kindred {
namespace {

namespace fs = std::filesystem;

const char* flag_of(const IndexedEncoder& encoder) {
  return encoder.is_foreign ? "--weights" : "--encoder";
}

// Throws if a flag asks for another preparation than the index has.
void check_same_preparation(const fs::path& index, const EncoderInfo& asked, const EncoderInfo& own) {
  const auto check_flag = [&](bool is_same, const char* flag) {
    check(is_same, ExitCode::usage,
          "{}: the images of {} were prepared in another way; leave the flag out, or make another index", flag,
          index.string());
  };
  check_flag(asked.image_size == own.image_size, "--image-size");
  check_flag(asked.pixels == own.pixels, "--pixels");
  check_flag(asked.resize == own.resize, "--resize");
  check_flag(asked.exif == own.exif, "--exif");
}

}  // namespace

IndexedEncoder indexed_encoder(const EncoderFlags& flags, const FrozenEncoder& frozen) {
  const bool is_foreign = flags.encoder.empty();
  const fs::path file = weights_file(is_foreign ? "--weights" : "--encoder", flags.file(), flags.best);
  std::error_code ignored;
  return {encoder_checksum(frozen.store), fs::absolute(file, ignored).lexically_normal().string(), is_foreign,
          frozen.info};
}

void take_encoder_of_index(const fs::path& index, const IndexContent& content, EncoderFlags& flags) {
  if (!flags.file().empty()) return;
  const IndexedEncoder& own = content.encoder;
  std::error_code ignored;
  check(fs::is_regular_file(own.path, ignored), ExitCode::file,
        "{}: its encoder is not at {} any more; say by {} where it is now, or where a copy is: it is known by "
        "its "
        "checksum, {}",
        index.string(), own.path, flag_of(own), own.xxh3);
  check(!flags.best, ExitCode::usage, "--best: give --encoder too, the folder of the run that is meant");
  (own.is_foreign ? flags.weights : flags.encoder) = own.path;
}

std::unique_ptr<FrozenEncoder> load_encoder_of_index(const fs::path& index, const IndexContent& content,
                                                     const EncoderFlags& flags, std::FILE* out) {
  const IndexedEncoder& own = content.encoder;
  EncoderInfo asked = own.info;
  if (flags.image_size > 0) asked.image_size = flags.image_size;
  if (!flags.pixels.empty()) asked.pixels = pixel_statistics(flags.pixels);
  if (!flags.resize.empty()) asked.resize = parse_resize(flags.resize);
  if (!flags.exif.empty()) asked.exif = parse_exif(flags.exif);
  check_same_preparation(index, asked, own.info);
  auto frozen = flags.load(out);
  const IndexedEncoder given = indexed_encoder(flags, *frozen);
  std::error_code ignored;
  const bool is_in_its_place = given.path == own.path || fs::equivalent(given.path, own.path, ignored);
  check(given.xxh3 == own.xxh3 || !is_in_its_place, ExitCode::file,
        "{}: another encoder than the one that {} was made with: its checksum was {}, and is {} now, so their "
        "features cannot be compared; say by {} where the earlier one is, or make another index",
        own.path, index.string(), own.xxh3, given.xxh3, flag_of(own));
  check(
      given.xxh3 == own.xxh3, ExitCode::file,
      "{}: another encoder than that of {}: its checksum is {}, and that of the index is {}, so their features "
      "cannot be compared; give the one that the index was made with (it was at {}), or make another index",
      flags.file(), index.string(), given.xxh3, own.xxh3, own.path);
  if (!is_in_its_place)
    fmt::print(out, "{} is the encoder of {}, which was at {}: the checksums are equal\n", one_line(given.path),
               one_line(index.string()), one_line(own.path));
  check(frozen->encoder->feature_dim == content.dim, ExitCode::file,
        "{}: the encoder gives {} features, and the index has {}", index.string(), frozen->encoder->feature_dim,
        content.dim);
  EncoderInfo& info = frozen->info;
  info.image_size = own.info.image_size;
  info.pixels = own.info.pixels;
  info.resize = own.info.resize;
  info.exif = own.info.exif;
  frozen->features.prepare_as(info);
  return frozen;
}

}  // namespace kindred
