#include <doctest/doctest.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/atomic_file.h>

#include "../errors.h"
#include "temporary_folder.h"

#include <fcntl.h>         // defines: O_DIRECTORY
#include <sys/resource.h>  // defines: setrlimit
#include <sys/stat.h>      // defines: umask
#include <sys/wait.h>      // defines: waitpid
#include <unistd.h>        // defines: fork, geteuid

#include <cerrno>
#include <csignal>

namespace kindred {
namespace {

namespace fs = std::filesystem;

// Fails the n-th call of one kind, or makes writes short or interrupted.
struct FaultyFiles : FileOperations {
  enum Call { opening, writing, syncing, closing, renaming, none };
  Call faulty = none;
  int error = 0;
  int good_calls = 0;                     // this many succeed first
  std::size_t at_most = ~std::size_t{0};  // short writes
  int interruptions = 0;                  // EINTR this often, then go on

  bool fails(Call call) {
    if (call != faulty || good_calls-- > 0) return false;
    errno = error;
    return true;
  }
  bool interrupted() {
    if (interruptions-- <= 0) return false;
    errno = EINTR;
    return true;
  }

  int open(const char* path, int flags, mode_t mode) override {
    return interrupted() || fails(opening) ? -1 : FileOperations::open(path, flags, mode);
  }
  ssize_t write(int file, const void* data, std::size_t bytes) override {
    if (interrupted() || fails(writing)) return -1;
    return FileOperations::write(file, data, std::min(bytes, at_most));
  }
  int fsync(int file) override { return interrupted() || fails(syncing) ? -1 : FileOperations::fsync(file); }
  int close(int file) override {
    const int result = FileOperations::close(file);
    return fails(closing) ? -1 : result;
  }
  int rename(const char* from, const char* to) override {
    return fails(renaming) ? -1 : FileOperations::rename(from, to);
  }
};

std::string message_of_failure(const fs::path& path, FileOperations& files = system_files()) {
  try {
    write_file_atomically(path, "the new content", files);
  } catch (const Error& error) {
    CHECK(error.code() == ExitCode::io);
    return error.what();
  }
  return "no error";
}

TEST_CASE("atomic file: writes and replaces, and leaves nothing else behind") {
  const TemporaryFolder folder;
  const fs::path path = folder / "file";
  write_file_atomically(path, "first");
  CHECK(read_bytes(path) == "first");
  const std::string with_zeros("second\0half", 11);
  write_file_atomically(path, with_zeros);
  CHECK(read_bytes(path) == with_zeros);
  write_file_atomically(path, "");
  CHECK(read_bytes(path).empty());
  CHECK(folder.file_count() == 1);
  {
    AtomicFile dropped(path);
    dropped.write("x", 1);
    CHECK(folder.file_count() == 2);
  }
  CHECK(folder.file_count() == 1);
}

TEST_CASE("atomic file: permissions follow the umask") {
  const TemporaryFolder folder;
  const mode_t before = ::umask(027);
  write_file_atomically(folder / "file", "x");
  ::umask(before);
  CHECK((fs::status(folder / "file").permissions() & fs::perms::mask) == fs::perms(0640));
}

TEST_CASE("atomic file: a symbolic link stays one, and what it points to is replaced") {
  const TemporaryFolder folder;
  fs::create_directory(folder / "elsewhere");
  write_bytes(folder / "elsewhere/file", "old");
  fs::create_symlink("elsewhere/file", folder / "link");
  write_file_atomically(folder / "link", "new");
  CHECK(fs::is_symlink(folder / "link"));
  CHECK(read_bytes(folder / "elsewhere/file") == "new");
}

TEST_CASE("atomic file: without links, the new file takes the place of a link, whatever that points to") {
  const TemporaryFolder folder;
  fs::create_directory(folder / "elsewhere");
  write_bytes(folder / "elsewhere/file", "old");
  for (const char* target : {"elsewhere/file", "elsewhere", "gone", "/dev/null"}) {
    CAPTURE(target);
    fs::remove(folder / "link");
    fs::create_symlink(target, folder / "link");
    write_file_atomically(folder / "link", "new", system_files_without_links());
    CHECK(fs::is_regular_file(fs::symlink_status(folder / "link")));
    CHECK(read_bytes(folder / "link") == "new");
  }
  CHECK(read_bytes(folder / "elsewhere/file") == "old");
  CHECK(folder.file_count() == 2);
}

TEST_CASE("atomic file: any call that fails leaves the old file and no temporary") {
  const TemporaryFolder folder;
  const fs::path path = folder / "file";
  write_bytes(path, "the old content");
  for (const auto call : {FaultyFiles::opening, FaultyFiles::writing, FaultyFiles::syncing,
                          FaultyFiles::closing, FaultyFiles::renaming}) {
    FaultyFiles files;
    files.faulty = call;
    files.error = ENOSPC;
    const std::string message = message_of_failure(path, files);
    CHECK(message.find(path.string()) == 0);
    CHECK(message.find("No space left on device; the disk is full: free some space") != message.npos);
    CHECK(message.find('\n') == message.npos);
    CHECK(read_bytes(path) == "the old content");
    CHECK(folder.file_count() == 1);
  }
}

TEST_CASE("atomic file: a disk that fills up half-way") {
  const TemporaryFolder folder;
  const fs::path path = folder / "file";
  write_bytes(path, "the old content");
  FaultyFiles files;
  files.faulty = FaultyFiles::writing;
  files.error = ENOSPC;
  files.good_calls = 3;
  files.at_most = 2;
  CHECK(message_of_failure(path, files).find("the disk is full") != std::string::npos);
  CHECK(read_bytes(path) == "the old content");
  CHECK(folder.file_count() == 1);
}

TEST_CASE("atomic file: short and interrupted calls are carried on") {
  const TemporaryFolder folder;
  for (int interruptions = 0; interruptions < 6; ++interruptions) {
    FaultyFiles files;
    files.at_most = 3;
    files.interruptions = interruptions;
    write_file_atomically(folder / "file", "the new content", files);
    CHECK(read_bytes(folder / "file") == "the new content");
  }
}

TEST_CASE("atomic file: a folder that cannot be synced does not undo the write") {
  const TemporaryFolder folder;
  FaultyFiles files;
  files.faulty = FaultyFiles::syncing;
  files.error = EIO;
  files.good_calls = 1;  // the call for the file itself succeeds
  CHECK(message_of_failure(folder / "file", files).find("was written, but") != std::string::npos);
  CHECK(read_bytes(folder / "file") == "the new content");
  CHECK(folder.file_count() == 1);
}

TEST_CASE("atomic file: the size limit of the process, as a full disk") {
  const TemporaryFolder folder;
  const fs::path path = folder / "file";
  write_bytes(path, "the old content");
  // In a child process: the limit and the ignored signal must not affect the other tests.
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{4096, 4096};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    try {
      write_file_atomically(path, std::string(100'000, 'x'));
    } catch (const Error& error) {
      ::_exit(error.code() == ExitCode::io && std::string(error.what()).find("ulimit -f") != std::string::npos
                  ? 6
                  : 1);
    }
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 6);
  CHECK(read_bytes(path) == "the old content");
  CHECK(folder.file_count() == 1);
}

TEST_CASE("atomic file: places that cannot be written to") {
  const TemporaryFolder folder;
  CHECK(message_of_failure(folder / "missing/file").find("its folder does not exist: create it") !=
        std::string::npos);
  write_bytes(folder / "file", "x");
  CHECK(message_of_failure(folder / "file/inside").find("is not a folder: choose another folder") !=
        std::string::npos);
  fs::remove(folder / "file");
  fs::create_directory(folder / "folder");
  write_bytes(folder / "folder/inside", "x");
  CHECK(message_of_failure(folder / "folder").find("choose another name") != std::string::npos);
  CHECK(folder.file_count() == 1);
  if (::geteuid() == 0) return;  // root may write anywhere
  fs::permissions(folder / "folder", fs::perms::owner_read | fs::perms::owner_exec);
  CHECK(message_of_failure(folder / "folder/inside").find("check the permissions") != std::string::npos);
  CHECK(read_bytes(folder / "folder/inside") == "x");
  fs::permissions(folder / "folder", fs::perms::owner_all);
}

TEST_CASE("atomic file: the longest name that a file can have") {
  const TemporaryFolder folder;
  const std::string name(255, 'n');
  write_file_atomically(folder / name, "x");
  CHECK(read_bytes(folder / name) == "x");
}

TEST_CASE("a pipe or a device is not replaced by a file") {
  const TemporaryFolder folder;
  const std::filesystem::path pipe = folder / "pipe";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  CHECK(test::error_of([&] { write_file_atomically(pipe, "x"); }).find("is a device, a pipe") !=
        std::string::npos);
  CHECK(std::filesystem::is_fifo(pipe));
  CHECK(test::error_of([&] { write_file_atomically("/dev/null", "x"); }) != "no error");
  CHECK(std::filesystem::is_character_file("/dev/null"));
  CHECK(folder.file_count() == 1);
}

}  // namespace
}  // namespace kindred
