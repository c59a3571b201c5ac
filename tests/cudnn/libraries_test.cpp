// What `pretrain` says about a GPU and its libraries, end to end, for every place where the libraries can be.
// The program is complete, but its GPU only reports its presence (stand_in_gpu.cpp), and the libraries only
// report their version (stand_in_cudnn.c). Nothing depends on what the machine has installed.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include "../apps/programs.h"

#include <fmt/core.h>

#include <fstream>

namespace kindred {
namespace {

namespace fs = std::filesystem;

struct Machine {
  TemporaryFolder folder;
  std::string set = draw_tiny_set(folder, 2, 4);
  std::string environment;  // beside an empty one

  // Runs the program with nothing but `environment`.
  ProgramResult run(const std::string& arguments) const {
    return run_program_with(fmt::format("env -i HOME={} PATH={} {}", (folder / "home").string(),
                                        (folder / "bin").string(), environment),
                            "../tests/pretrain_on_stand_in", arguments);
  }
  ProgramResult run_on_cuda() const {
    return run(set + " --dry-run --device cuda --recipe demo --batch-size 4 --out " +
               (folder / "run").string());
  }
};

void put(const fs::path& path, const char* stand_in) {
  fs::create_directories(path.parent_path());
  fs::copy_file(fs::path(KINDRED_STAND_INS) / stand_in, path, fs::copy_options::overwrite_existing);
}

// Like the unpacked packages nvidia-cudnn-cu13 and nvidia-cublas.
void install_cudnn(const fs::path& packages) {
  const fs::path folder = packages / "nvidia/cudnn/lib";
  put(folder / "libcudnn.so.9", "libstand_in_cudnn.so");
  for (const char* part : {"graph", "heuristic", "engines_precompiled", "engines_runtime_compiled"})
    std::ofstream(folder / fmt::format("libcudnn_{}.so.9", part)) << "";
}
void install_nccl(const fs::path& packages) {
  put(packages / "nvidia/nccl/lib/libnccl.so.2", "libstand_in_cudnn.so");
}
void install_cublas(const fs::path& packages) {
  put(packages / "nvidia/cu13/lib/libcublasLt.so.13", "libstand_in_cudnn.so");
}

std::string found_in(const fs::path& packages) {
  return fmt::format(
      "cuDNN 9.19.0 in {0}/nvidia/cudnn/lib (without libnvrtc.so.13, so its compiled plans are left "
      "out), cuBLASLt 13.1.2 in {0}/nvidia/cu13/lib",
      packages.string());
}

void check_refusal(const ProgramResult& result, std::initializer_list<std::string> texts) {
  CHECK(result.code == 5);
  CHECK(is_one_line_error(result));
  CHECK(says(result, "error: device cuda: "));
  CHECK(says(result, "; use --device cpu"));
  for (const std::string& text : texts) CHECK(says(result, text));
}

TEST_CASE("libraries: without a driver nothing is looked for") {
  Machine machine;
  machine.environment = "KINDRED_STAND_IN_GPU=none";
  check_refusal(machine.run_on_cuda(), {"no NVIDIA driver is installed"});
  CHECK_FALSE(says(machine.run_on_cuda(), "cuDNN"));
}

TEST_CASE("libraries: cuDNN is missing: where it was looked for, and what to do") {
  Machine machine;
  check_refusal(machine.run_on_cuda(),
                {"cuDNN 9 is missing", "libcudnn.so.9", "pip install nvidia-cudnn-cu13", "LD_LIBRARY_PATH"});
  machine.environment =
      fmt::format("VIRTUAL_ENV={0}/venv CONDA_PREFIX={0}/conda", machine.folder.path.string());
  const std::string at = machine.folder.path.string();
  check_refusal(machine.run_on_cuda(),
                {"looked in LD_LIBRARY_PATH, the system's folders, the virtual environment " + at +
                 "/venv, conda's prefix " + at + "/conda"});
  // By default the program uses the CPU, and says why.
  const ProgramResult by_itself = machine.run(machine.set + " --dry-run --recipe demo --batch-size 4 --out " +
                                              (machine.folder / "run").string());
  CHECK(by_itself.code == 0);
  CHECK(says(by_itself, "device cpu (cuDNN 9 is missing"));
}

TEST_CASE("libraries: found in a virtual environment, conda's prefix and python3's packages") {
  Machine machine;
  const fs::path root = machine.folder.path;
  struct Case {
    std::string environment;
    fs::path packages;
  };
  fs::create_directories(root / "bin");
  fs::create_directories(root / "usr/bin");
  std::ofstream(root / "usr/bin/python3") << "#!/bin/sh\n";
  fs::permissions(root / "usr/bin/python3", fs::perms::owner_all);
  fs::create_symlink(root / "usr/bin/python3", root / "bin/python3");
  for (const Case& c :
       {Case{"VIRTUAL_ENV=" + (root / "venv").string(), root / "venv/lib/python3.11/site-packages"},
        {"CONDA_PREFIX=" + (root / "conda").string(), root / "conda/lib/python3.12/site-packages"},
        {"", root / "usr/lib/python3/dist-packages"}}) {
    CAPTURE(c.environment);
    machine.environment = c.environment;
    install_cudnn(c.packages);
    check_refusal(machine.run_on_cuda(),
                  {"cuBLASLt is missing", "libcublasLt.so.13", "pip install nvidia-cublas"});
    install_cublas(c.packages);
    const ProgramResult result = machine.run_on_cuda();
    CHECK(result.code == 0);
    CHECK(says(result, "device cuda (NVIDIA H200, driver for CUDA 13.0, " + found_in(c.packages) + "): "));
    CHECK(result.output.find("device cuda") < result.output.find('\n'));  // the first line

    const ProgramResult version = machine.run("--version");
    CHECK(version.code == 0);
    CHECK(says(version, "kindred 0.1.0\ndevice cuda: NVIDIA H200"));
    CHECK(says(version, "\ncuDNN 9.19.0 in " + c.packages.string()));
    CHECK(says(version, "\ncuBLASLt 13.1.2 in " + c.packages.string()));
    fs::remove_all(c.packages);
  }
}

TEST_CASE("libraries: LD_LIBRARY_PATH goes before a virtual environment") {
  Machine machine;
  const fs::path packages = machine.folder / "venv/lib/python3.11/site-packages",
                 ours = machine.folder / "ours";
  install_cudnn(packages);
  install_cublas(packages);
  install_cudnn(ours);
  machine.environment = fmt::format("VIRTUAL_ENV={} LD_LIBRARY_PATH={}/nvidia/cudnn/lib",
                                    (machine.folder / "venv").string(), ours.string());
  const ProgramResult result = machine.run("--version");
  CHECK(says(result, "cuDNN 9.19.0 in " + ours.string()));
  CHECK(says(result, "cuBLASLt 13.1.2 in " + packages.string()));
}

TEST_CASE("libraries: NCCL is looked for only by runs that need it, and --version says where it is") {
  Machine machine;
  const fs::path packages = machine.folder / "venv/lib/python3.11/site-packages";
  install_cudnn(packages);
  install_cublas(packages);
  machine.environment = "VIRTUAL_ENV=" + (machine.folder / "venv").string();
  const ProgramResult without = machine.run("--version");
  CHECK(without.code == 0);
  CHECK(says(without, "\nNCCL is missing ("));
  CHECK(says(without, "libnccl.so.2"));
  CHECK(says(without, "pip install nvidia-nccl-cu13"));
  // A run on one GPU neither needs it nor says anything about it.
  const ProgramResult alone = machine.run_on_cuda();
  CHECK(alone.code == 0);
  CHECK_FALSE(says(alone, "NCCL"));
  install_nccl(packages);
  CHECK(says(machine.run("--version"), "\nNCCL 2.28.9 in " + packages.string() + "/nvidia/nccl/lib\n"));
  CHECK_FALSE(says(machine.run_on_cuda(), "NCCL"));
  machine.environment += " KINDRED_STAND_IN_NCCL=22105";
  CHECK(says(machine.run("--version"), "\nNCCL 2.21.5 in " + packages.string() +
                                           "/nvidia/nccl/lib is too old; 2.26.0 is needed; pip install"));
}

TEST_CASE("libraries: a cuDNN that is incomplete or too old is refused before it ends the program") {
  Machine machine;
  const fs::path packages = machine.folder / "venv/lib/python3.11/site-packages";
  install_cudnn(packages);
  install_cublas(packages);
  machine.environment = "VIRTUAL_ENV=" + (machine.folder / "venv").string();
  for (const char* part : {"libcudnn_graph.so.9", "libcudnn_heuristic.so.9",
                           "libcudnn_engines_precompiled.so.9", "libcudnn_engines_runtime_compiled.so.9"}) {
    fs::remove(packages / "nvidia/cudnn/lib" / part);
    check_refusal(machine.run_on_cuda(),
                  {fmt::format("cuDNN in {}/nvidia/cudnn/lib is incomplete: {}", packages.string(), part)});
    const ProgramResult version = machine.run("--version");
    CHECK(version.code == 0);
    CHECK(says(version, "is incomplete"));
    install_cudnn(packages);
  }
  machine.environment += " KINDRED_STAND_IN_CUDNN=80907";
  check_refusal(machine.run_on_cuda(), {"cuDNN 8.9.7 in " + packages.string(), "is too old; 9 is needed"});
}

TEST_CASE("libraries: what everybody may write is skipped, and the message says so") {
  Machine machine;
  const fs::path packages = machine.folder / "venv/lib/python3.11/site-packages";
  install_cudnn(packages);
  machine.environment = "VIRTUAL_ENV=" + (machine.folder / "venv").string();
  fs::permissions(packages, fs::perms::all);
  check_refusal(machine.run_on_cuda(),
                {"libcudnn.so.9 is skipped: everybody may write there", "cuDNN 9 is missing"});
}

}  // namespace
}  // namespace kindred
