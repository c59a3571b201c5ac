#include <fcntl.h>  // defines: open
#include <kindred/data/files/byte_reader.h>
#include <kindred/data/files/command.h>
#include <kindred/data/sets/compressed_tars.h>
#include <kindred/data/sets/shards/fetch_shards.h>
#include <kindred/data/sets/shards/shard_list.h>
#include <kindred/data/sets/tar.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/system_message.h>
#include <kindred/engine/seconds_since.h>
#include <unistd.h>  // defines: write, close
#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <exception>
#include <mutex>
#include <optional>
#include <span>
#include <system_error>
#include <thread>
#include <utility>

namespace kindred {
namespace {

namespace fs = std::filesystem;

constexpr int command_cannot_be_run = 126, command_not_found = 127;  // the shell's exit codes

// The file's name says what it is, and the number that it is of this command.
fs::path file_of_command(const ShardSpec& shard) {
  std::string name = shard.called.substr(0, shard.called.rfind(".tar")).substr(0, 100);
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c == '/' || static_cast<unsigned char>(c) < ' '; }, '_');
  return fmt::format("{}-{:016x}.tar", name, XXH3_64bits(shard.text.data(), shard.text.size()));
}

// A file that a command's output is written to. It is removed with this object, unless it was kept.
class FetchedFile {
 public:
  explicit FetchedFile(fs::path path) : path_(std::move(path)) {
    file_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    check(file_ >= 0, ExitCode::io, "{}: cannot be written: {}", path_.string(), system_message());
  }
  ~FetchedFile() {
    if (file_ >= 0) ::close(file_);
    std::error_code ignored;
    if (!kept_) fs::remove(path_, ignored);
  }
  FetchedFile(const FetchedFile&) = delete;
  FetchedFile& operator=(const FetchedFile&) = delete;

  // Returns an empty string, or why it could not be written.
  std::string append(std::span<const std::uint8_t> bytes) {
    while (!bytes.empty()) {
      const ssize_t written = ::write(file_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return system_message();
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
    return {};
  }
  void keep_as(const fs::path& name) {
    std::error_code error;
    if (::close(std::exchange(file_, -1)) != 0) error = std::error_code(errno, std::generic_category());
    if (!error) fs::rename(path_, name, error);
    check(!error, ExitCode::io, "{}: cannot be written: {}", name.string(), error.message());
    kept_ = true;
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
  int file_ = -1;
  bool kept_ = false;
};

// Why an attempt gave no shard.
struct FailedAttempt {
  std::string reason;
  std::string advice;          // empty: the usual one
  bool may_be_better = false;  // next time
};

class ShardFetcher {
 public:
  ShardFetcher(const ShardRequest& request, const ShardFolder& folder, const std::vector<ShardSpec>& shards)
      : request_(request), folder_(folder.path()), shards_(shards) {
    for (std::size_t i = 0; i < shards.size(); ++i) {
      std::error_code ignored;
      if (shards[i].is_pipe() && !fs::exists(folder_ / file_of_command(shards[i]), ignored))
        missing_.push_back(i);
    }
  }

  void fetch_missing() {
    if (missing_.empty()) return;
    show(0);
    const auto threads = std::min(missing_.size(), static_cast<std::size_t>(std::max(request_.at_once, 1)));
    std::vector<std::thread> workers;
    try {
      while (workers.size() + 1 < threads) workers.emplace_back([this] { work(); });
    } catch (const std::system_error&) {  // the system starts no more: those that run do all
    }
    work();
    for (std::thread& worker : workers) worker.join();
    if (error_) std::rethrow_exception(error_);
  }

 private:
  bool is_stopped() const { return failed_ || (request_.stop && request_.stop()); }

  void check_not_stopped() const {
    check(!is_stopped(), ExitCode::interrupted,
          "stopped while shards were fetched into {}; those that are complete stay there if it is no temporary "
          "folder",
          folder_.string());
  }

  void wait(double seconds) const {
    const auto start = std::chrono::steady_clock::now();
    while (seconds_since(start) < seconds) {
      check_not_stopped();
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }

  // Fetches shards until none is left, or one has failed.
  void work() {
    try {
      for (std::size_t next; !failed_ && (next = next_++) < missing_.size();) {
        const ShardSpec& shard = shards_[missing_[next]];
        fetch(shard, missing_[next]);
        std::error_code ignored;
        const auto bytes = fs::file_size(folder_ / file_of_command(shard), ignored);
        show(ignored ? 0 : bytes, 1);
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!error_) error_ = std::current_exception();
      failed_ = true;
    }
  }

  void show(std::uint64_t bytes, std::int64_t shards = 0) {
    const std::lock_guard lock(mutex_);
    progress_.of = static_cast<std::int64_t>(missing_.size());
    progress_.folder = folder_;
    progress_.shards += shards;
    progress_.bytes += bytes;
    if (request_.show) request_.show(progress_);
  }

  void fetch(const ShardSpec& shard, std::size_t number) const {
    const fs::path name = folder_ / file_of_command(shard), lock_name = name.string() + ".lock";
    std::error_code ignored;
    FileLock lock(lock_name);
    while (!lock.try_alone()) wait(0.05);  // another process reads it
    if (fs::exists(name, ignored)) return;
    double pause = request_.first_wait_seconds;
    for (int attempt = 1;; ++attempt, pause *= 2) {
      const std::optional<FailedAttempt> failed = attempt_to_read(shard, number, name);
      if (!failed) break;
      check_not_stopped();
      if (failed->may_be_better && attempt < request_.attempts) {
        wait(pause);
        continue;
      }
      fail(ExitCode::data, "shard {} of {}: {} failed{}: {}; {}", number + 1, shards_.size(), shard.text,
           attempt > 1 ? fmt::format(" {} times", attempt) : "", failed->reason,
           failed->advice.empty()
               ? "try the command in a shell; those that were read before are kept by a folder for shards"
               : failed->advice);
    }
    fs::remove(lock_name, ignored);
  }

  // Returns nullopt if `name` is there now.
  std::optional<FailedAttempt> attempt_to_read(const ShardSpec& shard, std::size_t number,
                                               const fs::path& name) const {
    FetchedFile partial(name.string() + ".partial");
    const CommandOutcome outcome =
        run_command(shard.command(), [&](std::span<const std::uint8_t> bytes) { return partial.append(bytes); },
                    {request_.silent_seconds, [this] { return is_stopped(); }});
    using Ending = CommandOutcome::Ending;
    check(outcome.ending != Ending::refused, ExitCode::io,
          "{}: cannot be written: {}; shards take as much room as their tar files: give another folder for "
          "shards",
          partial.path().string(), outcome.reason);
    // The system's matter, not the command's: another attempt would take the same.
    check(outcome.ending != Ending::no_process, ExitCode::device, Cause::out_of_processes,
          "shard {} of {}: {} could not run: {}", number + 1, shards_.size(), shard.text,
          outcome.in_words(request_.silent_seconds));
    const bool is_unknown = outcome.ending == Ending::exited &&
                            (outcome.code == command_not_found || outcome.code == command_cannot_be_run);
    if (!outcome.ok())
      return FailedAttempt{outcome.in_words(request_.silent_seconds),
                           is_unknown ? "install the program, or correct the command" : "", !is_unknown};
    const FileReader file(partial.path().string());
    if (const std::string undo = detail::undo_of_compressed_tar(file); !undo.empty())
      return FailedAttempt{"its output is compressed, and shards must be plain tar files",
                           fmt::format("add | {} to the command", undo), false};
    try {  // a command whose last part is content has exit code 0, whatever happened to the parts before
      TarReader tar(file, "its output");
      for (TarMember member; tar.next(member);) {
      }
    } catch (const Error& error) {
      const std::string what = error.what();
      return FailedAttempt{what.substr(0, what.find(';')), "", true};
    }
    partial.keep_as(name);
    return std::nullopt;
  }

  const ShardRequest& request_;
  fs::path folder_;
  const std::vector<ShardSpec>& shards_;
  std::vector<std::size_t> missing_;  // shards that commands have to write
  std::atomic<std::size_t> next_{0};
  std::atomic<bool> failed_{false};
  std::mutex mutex_;  // of what follows
  std::exception_ptr error_;
  FetchProgress progress_;
};

ShardFile file_of(const ShardSpec& shard, const GivenShards& given) {
  if (shard.is_pipe()) return {given.folder->path() / file_of_command(shard), shard.text, shard.called};
  std::error_code ignored;
  check(!fs::is_directory(shard.text, ignored), ExitCode::data,
        "{}: is a folder, not a shard; give it as the folder of the data set", shard.text);
  check(fs::exists(shard.text, ignored), ExitCode::data,
        "{}: there is no such shard; give a tar file, a range of them such as x-{{000..127}}.tar, or "
        "pipe:COMMAND",
        shard.text);
  return {shard.text, shard.text, shard.called};
}

}  // namespace

std::shared_ptr<const GivenShards> fetch_shards(const ShardRequest& request) {
  std::vector<std::string> texts = request.training;
  texts.insert(texts.end(), request.evaluation.begin(), request.evaluation.end());
  const std::vector<ShardSpec> shards = shards_named(texts);  // together: none may be in both
  const std::size_t of_training = shards_named(request.training).size();
  auto given = std::make_shared<GivenShards>();
  if (std::any_of(shards.begin(), shards.end(), [](const ShardSpec& shard) { return shard.is_pipe(); })) {
    std::string purpose;
    for (const ShardSpec& shard : shards) purpose += shard.text + '\n';
    given->folder = request.cache.empty() ? ShardFolder::temporary(purpose)
                                          : std::make_shared<const ShardFolder>(request.cache);
  }
  std::vector<ShardFile> files;  // those that lie here are looked for before the first command is run
  for (const ShardSpec& shard : shards) files.push_back(file_of(shard, *given));
  if (given->folder) ShardFetcher(request, *given->folder, shards).fetch_missing();
  const auto middle = files.begin() + static_cast<std::ptrdiff_t>(of_training);
  given->training.assign(files.begin(), middle);
  given->evaluation.assign(middle, files.end());
  if (!request.evaluation.empty()) given->name_of_evaluation = name_of_shards(request.evaluation);
  if (!shards.empty() && !shards.front().is_pipe())
    given->class_list = fs::path(shards.front().text).parent_path() / "classes.txt";
  return given;
}

}  // namespace kindred
