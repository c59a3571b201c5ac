// Packs a data set into one file, which training can read at memory speed.
#include <kindred/apps/console/command_line.h>
#include <kindred/apps/console/data_options.h>
#include <kindred/apps/console/interrupt.h>
#include <kindred/apps/console/main.h>
#include <kindred/apps/console/progress.h>
#include <kindred/data/sets/pack/pack.h>
#include <kindred/engine/error.h>

#include <filesystem>

namespace kindred {
namespace {

namespace fs = std::filesystem;

struct Flags {
  DataFlags data;
  std::string out;
  PackOptions pack;
  std::optional<int> quality;
};

void add_flags(CommandLine& line, Flags& f) {
  f.data.add_to(line);
  line.add("OUT", f.out, "the pack to write, for example set.kpack").required();
  line.add("--max-side", f.pack.max_side,
           "shrink larger images to this longer side, as JPEG (0: files are not changed)");
  line.add("--quality", f.quality, "of images that are shrunk, 1 to 100 (90)");
  line.add_switch("--overwrite", f.pack.overwrite, "replace OUT");
}

void check_flags(Flags& f) {
  f.data.check_values();
  check(!f.out.empty(), ExitCode::usage, "OUT is empty; give the name of the pack to write");
  check(f.pack.max_side >= 0 && f.pack.max_side <= 65500, ExitCode::usage,
        "--max-side {}: expected 1 to 65500 pixels", f.pack.max_side);
  check(!f.quality || f.pack.max_side > 0, ExitCode::usage,
        "--quality applies only to shrunk images; give --max-side too");
  f.pack.quality = f.quality.value_or(f.pack.quality);
  check(f.pack.quality >= 1 && f.pack.quality <= 100, ExitCode::usage, "--quality {}: expected 1 to 100",
        f.pack.quality);
  std::error_code ignored;
  check(!f.data.contains(fs::weakly_canonical(f.out, ignored).parent_path()), ExitCode::usage,
        "{}: lies in the data set, which is never changed; give another place", f.out);
}

int pack_dataset(int argc, char** argv) {
  CommandLine line("Packs a data set into one file. If it was interrupted, the same command continues.",
                   "pack_dataset");
  Flags flags;
  add_flags(line, flags);
  if (const auto done = line.parse(argc, argv)) return *done;
  check_flags(flags);
  watch_for_interrupts();
  const Dataset train = *flags.data.open(Split::train);
  print_notes(train);
  const std::optional<Dataset> evaluation = flags.data.open(Split::evaluation);
  if (evaluation) print_notes(*evaluation, &train);

  PackSummary summary;
  {
    const std::int64_t images = train.size() + (evaluation ? evaluation->size() : 0);
    Progress progress("packing", images, "images");
    std::int64_t before = 0;
    summary = write_pack(train, evaluation, flags.data.path, flags.out, flags.pack, [&](std::int64_t done) {
      for (; before < done; ++before) progress.advance(1, "");
      end_if_interrupted(
          fmt::format("{} of {} images are packed; the same command goes on from there", done, images));
    });
  }
  fmt::print("{}: {}{} images of {} classes, {}\n", flags.out,
             summary.was_there ? "there already, complete: " : "", summary.images, train.classes(),
             format_bytes(static_cast<double>(summary.bytes)));
  if (summary.resumed > 0) fmt::print("{} of them were packed before\n", summary.resumed);
  if (summary.shrunk > 0) fmt::print("{} were shrunk to {} pixels\n", summary.shrunk, flags.pack.max_side);
  for (const std::string& missing : summary.missing) fmt::print("warning: not in the pack: {}\n", missing);
  return 0;
}

}  // namespace
}  // namespace kindred

int main(int argc, char** argv) {
  return kindred::run_main(argc, argv, kindred::pack_dataset);
}
