// Packs a data set into one file, which training can read at memory speed.
#include <kindred/apps/console/command_line.h>
#include <kindred/apps/console/data_options.h>
#include <kindred/apps/console/interrupt.h>
#include <kindred/apps/console/main.h>
#include <kindred/apps/console/messages/quiet.h>
#include <kindred/apps/console/preparation_flags.h>
#include <kindred/apps/console/progress.h>
#include <kindred/apps/training/run/takeover/output_folder.h>
#include <kindred/data/sets/pack/pack.h>
#include <kindred/engine/counted.h>
#include <kindred/engine/error.h>

#include <filesystem>

namespace kindred {
namespace {

namespace fs = std::filesystem;

constexpr NumberRange sides_of_shrunk{"1 to 65500 pixels", 1, 65500}, jpeg_qualities{"1 to 100", 1, 100};

struct Flags {
  DataFlags data;
  std::string out, exif = "ignore";
  PackOptions pack;
  std::optional<int> quality;
};

void add_flags(CommandLine& line, Flags& f) {
  f.data.add_to(line);
  line.add("OUT", f.out, "the pack to write, for example set.kpack").required().writes_file();
  line.add("--max-side", f.pack.max_side,
           "shrink larger images to this longer side, as JPEG (files are not changed)")
      .within(sides_of_shrunk);
  line.add("--quality", f.quality, "of images that are shrunk (90)").within(jpeg_qualities);
  line.add("--exif", f.exif, fmt::format("of images that are shrunk: {}", exif_help)).shows_default();
  line.add_switch("--overwrite", f.pack.overwrite, "replace OUT");
  line.add_quiet();
}

void check_flags(Flags& f) {
  f.data.check_values();
  f.data.exif = parse_exif(f.exif);
  check(!f.out.empty(), ExitCode::usage, "OUT is empty; give the name of the pack to write");
  check(!f.quality || f.pack.max_side > 0, ExitCode::usage,
        "--quality applies only to shrunk images; give --max-side too");
  f.pack.quality = f.quality.value_or(f.pack.quality);
  std::error_code ignored;
  check(!f.data.contains(fs::weakly_canonical(f.out, ignored).parent_path()) && !f.data.contains(f.out),
        ExitCode::usage, "{}: lies in the data set, which is never changed; give another place", f.out);
  check_output_file("OUT", f.out, "set.kpack");
}

// The images for tests, which often have no labels: then they are left out, and a line says why.
std::optional<Dataset> open_test(const DataFlags& data) {
  if (data.held_out_fraction() > 0) return std::nullopt;  // what is held out replaces both
  try {
    return data.open(Split::test);
  } catch (const Error& error) {
    if (error.code() != ExitCode::data) throw;
    fmt::print("note: the images for tests are not in the pack: {}\n", one_line(error.what()));
    return std::nullopt;
  }
}

// The images for validation. None if nothing says their classes: a note of the training images says so.
std::optional<Dataset> open_validation(const DataFlags& data) {
  try {
    return data.open(data.named_split.empty() ? Split::evaluation : Split::val);
  } catch (const Error& error) {
    if (error.cause() != Cause::needs_labels) throw;
    return std::nullopt;
  }
}

// What became of EXIF orientations; files that are not shrunk keep theirs.
void print_orientations(const Flags& f, const PackSummary& summary) {
  if (summary.oriented > 0 && f.data.exif == ExifMode::ignore)
    fmt::print(
        "warning: {} of the shrunk images had an EXIF orientation, which shrinking loses, and lie as they are "
        "stored; pack "
        "with --exif apply to turn them\n",
        summary.oriented);
  if (f.data.exif == ExifMode::apply)
    fmt::print(
        "{} turned as {} EXIF orientation says; files that were not shrunk keep theirs, so give --exif apply "
        "to the programs that read the pack too\n",
        summary.oriented == 1 ? "1 shrunk image was" : fmt::format("{} shrunk images were", summary.oriented),
        summary.oriented == 1 ? "its" : "their");
}

int pack_dataset(int argc, char** argv) {
  CommandLine line("Packs a data set into one file. If it was interrupted, the same command continues.",
                   "pack_dataset");
  Flags flags;
  add_flags(line, flags);
  if (const auto done = line.parse(argc, argv)) return *done;
  check_flags(flags);
  watch_for_interrupts();
  // No note says that the images for tests are not used, unless what is held out replaces them.
  if (flags.data.held_out_fraction() == 0) flags.data.named_split = "val";
  const Dataset train = *flags.data.open(Split::train);
  print_notes(train);
  const std::optional<Dataset> validation = open_validation(flags.data), test = open_test(flags.data);
  if (validation) print_notes(*validation, &train);
  if (test) print_notes(*test, &train);

  PackSummary summary;
  {
    const std::int64_t images =
        train.size() + (validation ? validation->size() : 0) + (test ? test->size() : 0);
    Progress progress("packing", images, "images");
    std::int64_t before = 0;
    const auto show = [&](std::int64_t done) {
      for (; before < done; ++before) progress.advance(1, "");
      end_if_interrupted(
          fmt::format("{} of {} images are packed; the same command goes on from there", done, images));
    };
    summary = write_pack(PackSets{train, validation, test}, flags.data.path, flags.out, flags.pack, show);
  }
  results_follow();
  fmt::print("{}: {}{} of {}, {}\n", flags.out, summary.was_there ? "there already, complete: " : "",
             counted(summary.images, "image"), counted(train.classes(), "class"),
             format_bytes(static_cast<double>(summary.bytes)));
  if (summary.resumed > 0)
    fmt::print("{} of them {} packed before\n", summary.resumed, summary.resumed == 1 ? "was" : "were");
  if (summary.shrunk > 0)
    fmt::print("{} {} shrunk to {} pixels\n", summary.shrunk, summary.shrunk == 1 ? "was" : "were",
               flags.pack.max_side);
  print_orientations(flags, summary);
  for (const std::string& missing : summary.missing) fmt::print("warning: not in the pack: {}\n", missing);
  return 0;
}

const Program pack_dataset_program("pack_dataset",
                                   "packs a data set into one file, which is read at memory speed",
                                   pack_dataset);

}  // namespace
}  // namespace kindred
