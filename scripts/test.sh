#!/usr/bin/env bash
# Installs what is missing, builds, runs every test, and ends with one line:
#   tests: N passed, N failed, N skipped
# Tests that passed are not run again as long as no program, script or fixture changed.
#   scripts/test.sh [--again] [DOCTEST_ARGUMENT...]     --again: run them anyway
set -euo pipefail
cd "$(dirname "$0")/.."

again=0
[ "${1:-}" = --again ] && { again=1; shift; }
scripts/install_packages.sh
scripts/build.sh release
# Pages are not part of the fingerprint below, so this runs every time; it takes two seconds.
if python3 scripts/check_docs.py && scripts/check_layer.py --self-test && python3 bench/scale/predict.py --self-test &&
   python3 bench/hopper/self_test.py; then pages=1; else pages=0; fi

# What the result depends on, as one number: programs, fixtures, scripts, and whether there is a GPU.
fingerprint() {
  {
    find build/release/apps build/release/tests build/release/bench -maxdepth 1 -type f -executable -print0
    find engine third_party layers losses models data encoder apps tests scripts bench examples cmake ./*.txt ./*.h -type f -not -name '*.pyc' -print0
  } | sort -z | xargs -0 sha256sum | cat - <(nvidia-smi -L 2>/dev/null || true) | sha256sum | cut -d' ' -f1
}
stamp=build/release/tests.passed
if [ $again -eq 0 ] && [ $# -eq 0 ] && [ $pages -eq 1 ] && [ "$(head -n 1 $stamp 2>/dev/null)" = "$(fingerprint)" ]; then
  echo "nothing changed since the tests passed (scripts/test.sh --again runs them all the same)"
  tail -n 1 $stamp
  exit 0
fi
rm -f $stamp

passed=0 failed=0 skipped=0 status=0 failures=()
# check NAME COMMAND...: counts a script as one test.
check() {
  local name=$1
  shift
  if "$@"; then passed=$((passed + 1)); else fails "$name"; fi
}
# fails NAME: the names are said again at the end, because of a long output often only the end is at hand.
fails() {
  failed=$((failed + 1))
  failures+=("$1")
}
# check_or_skip NAME COMMAND...: the same, where the script may say that it cannot run here.
check_or_skip() {
  local log=build/release/$1.log name=$1
  shift
  if ! "$@" | tee "$log"; then fails "$name"
  elif grep -q '^skipped: ' "$log"; then skipped=$((skipped + 1))
  else passed=$((passed + 1)); fi
}

# count_tests LOG: adds what a test program wrote there to passed, failed and skipped.
count_tests() {
  local log=$1 summary here_skipped
  # "[doctest] test cases:   4 |   3 passed | 1 failed | 0 skipped"
  summary=$(grep -a '\[doctest\] test cases:' "$log" | tail -n 1 || true)
  if [ -z "$summary" ]; then  # the program crashed before it could count
    fails "$(basename "$log" .log): it ended before its last line"
    return
  fi
  count() { sed -E "s/.*[^0-9]([0-9]+) $1.*/\1/" <<<"$summary"; }
  here_skipped=$(grep -a -c '^skipped: ' "$log" || true) # a test that cannot run here prints the reason
  passed=$((passed + $(count passed) - here_skipped)) failed=$((failed + $(count failed)))
  skipped=$((skipped + here_skipped))
  name_failed_cases "$log"
}

# name_failed_cases LOG. doctest writes a case's name once, before the first line that it has to say of it.
name_failed_cases() {
  local name
  while IFS= read -r name; do failures+=("$(basename "$1" .log): $name"); done < <(
    awk '/^TEST CASE: / { name = substr($0, 13) }
         /: (FATAL )?ERROR: / && name != "" { print name; name = "" }' "$1")
}

# run_tests PROGRAM [ARGUMENTS...]
run_tests() {
  local log=build/release/$(basename "$1").log
  "$@" 2>&1 | tee "$log" || status=1
  count_tests "$log"
}

# If there is a GPU, none of its cases may be left out.
if nvidia-smi -L >/dev/null 2>&1; then export KINDRED_EXPECT_GPU=1; fi
run_tests build/release/tests/kindred_tests "$@"
unset KINDRED_EXPECT_GPU
# The same processor without its wider vectors: there oneDNN has no bf16, so bf16 is computed in f32. On a processor
# without wider vectors the run above was already of this kind. And without vectors.
if [ $# -eq 0 ] && grep -qw avx512bw /proc/cpuinfo; then
  KINDRED_CPU=avx2 run_tests build/release/tests/kindred_tests \
    "--test-case=*bf16*,*takes every loss*,a queue with every loss*,an online probe*,SimCLR*"
  KINDRED_CPU=avx2 run_tests build/release/tests/kindred_tests \
    "--source-file=*tests/layers/*,*tests/losses/*,*tests/gradcheck/*,*tests/engine/*,*tests/data/images/*"
fi
if [ $# -eq 0 ] && [ "$(uname -m)" = x86_64 ]; then
  KINDRED_CPU=scalar run_tests build/release/tests/kindred_tests \
    "--source-file=*tests/layers/*,*tests/losses/*,*tests/gradcheck/*,*tests/engine/*"
fi
# cuDNN's plans for a GPU that is only described. And a GPU that only reports its presence, with its libraries in every
# possible place.
if [ $# -eq 0 ]; then
  for program in cudnn_tests libraries_tests; do
    if [ -x build/release/tests/$program ]; then run_tests build/release/tests/$program
    else
      echo "skipped: $program: built without CUDA"
      skipped=$((skipped + 1))
    fi
  done
fi
# The communicator between real processes, and what comes of processes that fail.
if [ $# -eq 0 ]; then
  if [ ! -x build/release/tests/mpi_tests ]; then without_mpi="built without MPI"
  elif ! command -v mpirun >/dev/null; then without_mpi="mpirun is missing"
  else without_mpi=""; fi
  if [ -z "$without_mpi" ]; then
    for processes in 2 3 4; do run_tests build/release/tests/mpi_tests --processes=$processes; done
    run_tests build/release/tests/mpi_drills
  else
    echo "skipped: mpi_tests: $without_mpi"
    skipped=$((skipped + 1))
  fi
fi
# The GPU's kernels on the host, also if there is a GPU, because a GPU draws no orders and finds no races.
if [ $# -eq 0 ]; then
  export KINDRED_EMULATION_LAUNCHES=$PWD/build/release/launches
  rm -f "$KINDRED_EMULATION_LAUNCHES"
  beside=(build/release/beside_{1,2}.log)
  beside_the_rehearsal() {  # programs of one thread
    local result=0
    build/release/tests/emulated_tests "--test-suite=needs an emulated GPU" >"${beside[0]}" 2>&1 || result=1
    # The kernels again, with blocks and threads in another order.
    KINDRED_EMULATION_SEED=2 build/release/tests/emulated_tests \
      "--test-case=on a GPU*,linear layers on a GPU*,batch norm*,fused batch norm*,cross_entropy on*,triplets on*,resident views on*,supcon on cuda: contrasts*" \
      >"${beside[1]}" 2>&1 || result=1
    return $result
  }
  beside_the_rehearsal &
  trap "kill $! \$(pgrep -P $!) 2>/dev/null || true" EXIT
  # Every GPU case, and the rest of a quarter of an hour on a GPU.
  scripts/gpu_flight.sh --rehearse 2>&1 | tee build/release/rehearsal.log || status=1
  rehearsed=$(tail -n 1 build/release/rehearsal.log | sed -nE 's/^GPU cases: ([0-9]+) of \1 ran$/\1/p')
  if [ -n "$rehearsed" ] && grep -q '^rehearsal: passed' build/release/rehearsal.log; then passed=$((passed + rehearsed))
  else
    fails "gpu_flight.sh --rehearse: $(grep -a '^rehearsal: ' build/release/rehearsal.log | head -n 3 | tr '\n' ';')"
    name_failed_cases build/release/rehearsal.log
  fi
  wait $! || status=1
  trap - EXIT
  for log in "${beside[@]}"; do
    cat "$log"
    count_tests "$log"
  done
  check_or_skip launches python3 scripts/check_launches.py "$KINDRED_EMULATION_LAUNCHES"
  unset KINDRED_EMULATION_LAUNCHES
fi

# Exported graphs, run by another program.
if [ $# -eq 0 ]; then
  check_or_skip onnx python3 scripts/check_onnx.py
  check_or_skip events python3 tests/golden/check_events.py
  check_or_skip search python3 tests/golden/check_search.py
  check_or_skip map python3 tests/golden/check_map.py
  check_or_skip browser scripts/browser/check_all.sh build/release/apps
fi

# What new users type wrong, and what comes of it.
check new_user.sh scripts/new_user.sh build/release/apps
check check_house.sh scripts/check_house.sh
check "pages (check_docs.py, check_layer.py, predict.py)" [ $pages -eq 1 ]
check check_install.sh scripts/check_install.sh build/release
check check_package.sh scripts/check_package.sh build/release

# The test of the tests: planted errors must make the suite fail. Takes a while, so only if sources changed.
if [ $# -eq 0 ]; then
  check mutation_test.py python3 scripts/mutation_test.py --build build/release
  # Random errors in the sources that the last commits changed. A few errors say little about the share that is noticed.
  # Survivors are printed to be read, and the check fails only if hardly any error is noticed.
  rm -f build/release/mutation/changed.jsonl
  check_or_skip sample python3 scripts/mutation_sample.py --changed --seconds 150 --at-least 0.1 \
    --results build/release/mutation/changed.jsonl
fi

summary="tests: $passed passed, $failed failed, $skipped skipped"
if [ $# -eq 0 ] && [ "$failed" -eq 0 ] && [ "$status" -eq 0 ]; then
  { fingerprint; echo "$summary"; } >$stamp
fi
for failure in "${failures[@]}"; do echo "failed: $failure"; done
echo "$summary"
[ "$failed" -eq 0 ] && [ "$status" -eq 0 ]
