// Draws a page about a run, or about several beside each other: one file that a browser opens from disk.
#include <kindred/apps/console/clock.h>
#include <kindred/apps/console/command_line.h>
#include <kindred/apps/console/data_options.h>
#include <kindred/apps/console/device_report.h>
#include <kindred/apps/console/interrupt.h>
#include <kindred/apps/console/main.h>
#include <kindred/apps/console/messages/quiet.h>
#include <kindred/apps/console/progress.h>
#include <kindred/apps/evaluation/encoder_flags.h>
#include <kindred/apps/evaluation/given_weights.h>
#include <kindred/apps/report/images/seen.h>
#include <kindred/apps/report/report_page.h>
#include <kindred/apps/report/run_story.h>
#include <kindred/apps/training/run/takeover/output_folder.h>
#include <kindred/apps/training/run/takeover/own_files.h>
#include <kindred/apps/training/run/verdict/verdict.h>
#include <kindred/engine/counted.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/atomic_file.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <thread>

namespace kindred {
namespace {

namespace fs = std::filesystem;

constexpr const char* begins_anew = "nothing was written; the same command begins anew";
constexpr std::size_t most_runs = 32;

struct Flags {
  std::vector<std::string> runs;
  std::string out, data, device = "auto";
  std::int64_t limit = 2000, workers = 1;
  bool no_images = false;
};

void add_flags(CommandLine& line, Flags& f) {
  f.workers = std::max(1u, std::thread::hardware_concurrency());
  line.add("RUN", f.runs, "folder of a run; several are drawn over each other, at most 32").required();
  line.add("--out", f.out, "the file to write, a page of HTML; an existing file is replaced")
      .required()
      .writes_file();
  const Flag none =
      line.add_switch("--no-images", f.no_images,
                      "do not open the data set: curves and settings alone; chance is not known then");
  line.add("--data", f.data, "the data set of the run, if it is not where the run's config.json says")
      .excludes(none);
  line.add("--limit", f.limit,
           "look at N images to evaluate on, and at two and a half times as many to train on, evenly spread")
      .shows_default()
      .within(1, 100'000);
  line.add("--device", f.device, device_help).shows_default();
  line.add("-j,--workers", f.workers, "threads that load images").shows_default().within(numbers_of_workers);
  line.add_quiet();
}

// RUN/report.html is the run's own, and the place where people look for it.
bool is_page_of_given_run(const Flags& f) {
  const fs::path out = f.out;
  return out.filename() == report_page_name &&
         std::any_of(f.runs.begin(), f.runs.end(), [&](const std::string& run) {
           std::error_code ignored;
           return fs::equivalent(out.has_parent_path() ? out.parent_path() : fs::path("."), run, ignored);
         });
}

void check_flags(const Flags& f) {
  std::error_code ignored;
  const bool is_folder = fs::is_directory(f.out, ignored);
  if (is_folder || !is_page_of_given_run(f)) check_output_file("--out", f.out, "report.html");
  check(f.out.ends_with(".html") || f.out.ends_with(".htm"), ExitCode::usage,
        "--out {}: expected a name that ends in .html, so that a browser opens it", f.out);
  check(f.runs.size() <= most_runs, ExitCode::usage,
        "{} are given; expected at most {}, or nobody can tell them apart", counted(f.runs.size(), "run"),
        most_runs);
  check(f.runs.size() == 1 || f.data.empty(), ExitCode::usage,
        "--data {}: images are shown of a single run; leave it out, or give one run", f.data);
}

FileOperations& operations_for_page(const Flags& f) {
  return is_page_of_given_run(f) ? system_files_without_links() : system_files();
}

// Begins the page and drops it. Throws Error(io) where it could not be written, before the work and not after it.
void check_page_can_be_written(const Flags& f) {
  const AtomicFile tried(f.out, operations_for_page(f));
}

// What the page notes, the console tells too. `of`: of several runs the name and a colon.
void tell_notes(const std::vector<std::string>& notes, const std::string& of = "") {
  for (const std::string& note : notes) fmt::print("warning: {}\n", one_line(of + note));
}

std::unique_ptr<FrozenEncoder> encoder_of_run(const Flags& f, const RunFiles& run) {
  EncoderFlags flags;
  flags.encoder = run.folder.string();
  std::error_code ignored;
  flags.best = fs::exists(run.folder / best_encoder_name, ignored);
  flags.device = f.device;
  flags.workers = f.workers;
  return flags.load();
}

std::string page_of_one(const Flags& f) {
  RunFiles run = read_run_files(f.runs.front());
  DataFlags set;
  set.path = f.data.empty() ? run.text("data").value_or("") : f.data;
  if (!set.path.empty()) set.check_outside("--out", f.out);
  check_page_can_be_written(f);
  tell_notes(run.notes);
  ReportOptions options;
  options.drawn = time_in_utc();
  std::optional<Seen> seen;
  if (!f.no_images) try {
      const RunImages images = open_run_images(run, f.data, options.notes);
      tell_notes(options.notes);
      // Figures of the run are of its own images.
      if (images.evaluation && images.are_of_run) options.chance = chance_of(*images.evaluation);
      SeenOptions how{.most_evaluation = f.limit, .most_training = 5 * f.limit / 2, .stopped = begins_anew};
      how.has_quick_map = condition_of(run) == RunCondition::under_way;
      seen = look_at_images(
          run, images, [&] { return encoder_of_run(f, run); }, how);
      options.seen = &*seen;
      tell_notes(seen->notes);
    } catch (const Error& error) {
      if (error.code() == ExitCode::interrupted) throw;
      check(f.data.empty(), error.code(), "{}", error.what());  // it was asked for
      options.notes.push_back(fmt::format("images are left out: {}", error.what()));
      tell_notes({options.notes.back()});
    }
  options.is_last = condition_of(run) == RunCondition::finished;
  return page_of_run(run, options);
}

std::string page_of_several(const Flags& f) {
  std::vector<RunFiles> runs;
  for (const std::string& folder : f.runs) {
    runs.push_back(read_run_files(folder));
    end_if_interrupted(begins_anew);
  }
  const std::vector<std::string> names = names_of_runs({f.runs.begin(), f.runs.end()});
  check_page_can_be_written(f);
  for (std::size_t i = 0; i < runs.size(); ++i) {
    runs[i].name = names[i];
    tell_notes(runs[i].notes, names[i] + ": ");
  }
  ReportOptions options;
  options.drawn = time_in_utc();
  return page_of_runs(runs, options);
}

int report(int argc, char** argv) {
  CommandLine line(
      "Draws a page about a run: curves, settings, classes that are confused, a map of its embedding. Of "
      "several "
      "runs: their curves over each other, and what differs.",
      "report");
  Flags flags;
  add_flags(line, flags);
  if (const auto done = line.parse(argc, argv)) return *done;
  check_flags(flags);
  watch_for_interrupts();
  const std::string page = flags.runs.size() == 1 ? page_of_one(flags) : page_of_several(flags);
  end_if_interrupted(begins_anew);
  write_file_atomically(flags.out, page, operations_for_page(flags));
  results_follow();
  fmt::print("{}: {}\n", flags.out, format_bytes(static_cast<double>(page.size())));
  return 0;
}

const Program report_program("report", "draws a page about a run, or several beside each other", report);

}  // namespace
}  // namespace kindred
