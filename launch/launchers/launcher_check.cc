#include "launch/launchers/launcher_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <sstream>
#include <stdexcept>

#include "launch/captured_process.h"
#include "launch/counted.h"
#include "launch/host_network.h"

namespace phalanx {
namespace {

constexpr double kVersionSeconds = 10.0;
constexpr int kNotFound = 127;

std::string first_line(const std::string& text) {
  std::istringstream lines(text);
  std::string line;
  while (std::getline(lines, line)) {
    if (line.find_first_not_of(" \t\r=") != std::string::npos) return line;
  }
  return "";
}

/// Hydra's first line is a headline.
std::string version_line(const std::string& text) {
  std::istringstream lines(text);
  std::string line;
  while (std::getline(lines, line)) {
    const size_t version = line.find("Version:");
    if (version != std::string::npos) return "HYDRA " + line.substr(version);
  }
  return first_line(text);
}

HostSlots host_of(const std::string& line, const std::string& place) {
  std::istringstream words(line);
  HostSlots host;
  std::string slots, extra;
  words >> host.name >> slots >> extra;
  const size_t colon = host.name.find(':');
  if (colon != std::string::npos) {
    slots = "slots=" + host.name.substr(colon + 1);
    host.name.resize(colon);
  }
  if (slots.empty()) return {host.name, 0};
  const char* const end = slots.data() + slots.size();
  const size_t equals = slots.find('=');
  const bool named = slots.substr(0, equals) == "slots" && equals != std::string::npos;
  const auto read = named ? std::from_chars(slots.data() + equals + 1, end, host.slots)
                          : std::from_chars_result{nullptr, std::errc::invalid_argument};
  if (read.ec != std::errc() || read.ptr != end || host.slots < 1 || !extra.empty()) {
    throw std::invalid_argument(
        fmt::format("{}: expected HOST, HOST slots=N or HOST:N, found '{}'", place, line));
  }
  return host;
}

/// Why a host cannot take part; empty: it can.
std::string complaint(const CapturedProcess& answer, const std::string& version, double seconds) {
  if (!answer.ended) return fmt::format("no answer within {:g} s", seconds);
  if (answer.exit_code == kNotFound && answer.output.empty()) return "no such program";
  const std::string line = first_line(answer.output);
  // Around it a host may greet, and ssh or a library warn.
  const bool answers =
      ("\n" + answer.output + "\n").find("\n" + version + "\n") != std::string::npos;
  if (answer.exit_code == 0) return answers ? "" : fmt::format("'{}'", line);
  return line.empty() ? fmt::format("exit code {}", answer.exit_code) : line;
}

std::vector<HostSlots> here() { return {{"localhost", 0}}; }

/// mpirun starts the ranks of its own host without help.
std::vector<std::string> version_command(const LaunchJob& job, const std::string& host,
                                         const std::string& agent) {
  if (is_this_host(host)) return {job.program, "--version"};
  std::vector<std::string> command;  // as mpirun, which takes `ssh -p 2222`
  std::istringstream words(agent);
  for (std::string word; words >> word;) command.push_back(word);
  if (agent == "ssh") command.insert(command.end(), {"-o", "BatchMode=yes"});
  command.insert(command.end(), {host, shell_line({job.program, "--version"})});
  return command;
}

}  // namespace

std::vector<HostSlots> read_hostfile(const std::string& text, const std::string& where) {
  std::vector<HostSlots> hosts;
  std::istringstream lines(text);
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    line.resize(std::min(line.find('#'), line.size()));
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    hosts.push_back(host_of(line, fmt::format("{}:{}", where, number)));
  }
  if (hosts.empty()) {
    throw std::invalid_argument(fmt::format("{}: expected a host a line, found none", where));
  }
  return hosts;
}

std::vector<HostSlots> choose_hosts(const std::vector<HostSlots>& hosts, int64_t nodes,
                                    int64_t ranks_per_node, const std::string& where) {
  if (static_cast<int64_t>(hosts.size()) < nodes) {
    throw std::invalid_argument(fmt::format("{}: expected at least {} for --nodes {}, found {}",
                                            where, counted(nodes, "host"), nodes, hosts.size()));
  }
  std::vector<HostSlots> chosen(hosts.begin(), hosts.begin() + nodes);
  for (const HostSlots& host : chosen) {
    if (host.slots == 0 || host.slots >= ranks_per_node) continue;  // 0: nothing is said
    throw std::invalid_argument(
        fmt::format("{}: host {}: expected at least {}, one for each of its ranks, found {}; lower "
                    "--gpus-per-node (--ranks-per-node), or raise slots= if the host can take more",
                    where, host.name, counted(ranks_per_node, "slot"), host.slots));
  }
  return chosen;
}

void check_mpirun(const LaunchJob& job, const std::string& library) {
  const CapturedProcess answer = run_captured({{job.mpirun, "--version"}}, kVersionSeconds).front();
  if (!answer.ended || answer.exit_code != 0) {
    throw std::invalid_argument(fmt::format(
        "--mpirun: expected the launcher of {}, found {} at '{}'", library,
        answer.ended && answer.exit_code == kNotFound ? "no program" : "none that tells --version",
        job.mpirun));
  }
  const MpiFlavour found = mpi_flavour(answer.output);
  if (found == job.flavour || job.flavour == MpiFlavour::kOther) return;
  throw std::invalid_argument(fmt::format(
      "--mpirun: expected a launcher of {}, with which this program is linked ({}), found one of "
      "{} ({}): each rank would believe that it is alone; --mpirun PATH names another",
      flavour_name(job.flavour), library, flavour_name(found), version_line(answer.output)));
}

void check_hosts(const LaunchJob& job, const std::string& version, double seconds) {
  const std::string agent = job.rsh_agent.empty() ? "ssh" : job.rsh_agent;
  std::vector<std::string> hosts;
  std::vector<std::vector<std::string>> commands;
  for (const HostSlots& host : job.hosts.empty() ? here() : job.hosts) {
    hosts.push_back(host.name);
    commands.push_back(version_command(job, host.name, agent));
  }
  const std::vector<CapturedProcess> answers = run_captured(commands, seconds);
  std::map<std::string, std::string> hosts_by_complaint;
  for (size_t i = 0; i < answers.size(); ++i) {
    const std::string text = complaint(answers[i], version, seconds);
    if (text.empty()) continue;
    std::string& names = hosts_by_complaint[text];
    names += (names.empty() ? "" : ", ") + hosts[i];
  }
  if (hosts_by_complaint.empty()) return;
  std::string found;
  for (const auto& [text, names] : hosts_by_complaint) {
    found += fmt::format("{}host {}: {}", found.empty() ? "" : "; ", names, text);
  }
  throw std::invalid_argument(fmt::format(
      "hosts: expected each to answer '{}' when asked for the version of {} by {}, found {}. It "
      "must let you in without a password and hold the same program at the same path",
      version, job.program, agent, found));
}

}  // namespace phalanx
