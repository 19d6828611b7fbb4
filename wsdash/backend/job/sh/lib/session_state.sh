# shellcheck shell=sh disable=SC2154
# Sourced by session.sh: the rule that tells a session's state from facts that know no vendor. Pure: it reads two files.
#
# A line of facts, with `|` between: NAME AGE BELL DEAD CODE SIGNAL SHELL RAW READS CPU QUIET MATCH REPORT REPORTED TYPED.
#   AGE       seconds since the program printed
#   BELL      1: it rang, and nobody has looked since
#   DEAD      1: it has ended, with CODE or by SIGNAL
#   SHELL     1: the foreground has shells and no other process
#   RAW       1: the terminal passes on each key; 0: whole lines; empty: unknown
#   READS     1: a process in the foreground waits in read() of its terminal
#   CPU       percent of a core that the foreground has used since the last look; empty: unknown
#   QUIET     seconds without output after which the profile says that a turn may have ended
#   MATCH     the pattern of the profile that the screen matches: waiting, working or nothing
#   REPORT    the state that the program itself has reported by wsdash-state, REPORTED seconds ago
#   TYPED     seconds since somebody has typed into it; empty: never
# A line of memory: NAME STATE SINCE RULE EVIDENCE BUSY_SINCE TURN CANDIDATE; times are seconds of uptime.

# Prints the new memory. The first rule that fits decides; RULE is its name, EVIDENCE its fact in words.
decide_states() { # UPTIME FACTS MEMORY
  awk -F '|' -v OFS='|' -v up="$1" '
    FILENAME == ARGV[1] {
      state[$1] = $2; since[$1] = $3; why[$1] = $4; evidence[$1] = $5; busy[$1] = $6; turn[$1] = $7; candidate[$1] = $8
      next
    }
    function plural(n) { return n == 1 ? "1 second" : n " seconds" }
    {
      name = $1; age = $2 + 0
      new = ""; is_sure = 1
      # A turn: it has printed for four seconds, and then nobody typed.
      if (age < $11) { if (busy[name] == "") busy[name] = up - age; turn[name] = "" }
      else if (busy[name] != "") { if (up - age - busy[name] >= 4) turn[name] = 1; busy[name] = "" }
      if ($15 != "" && $15 + 0 <= age) turn[name] = ""
      if ($4 == 1 && $6 != "") { new = "failed"; rule = "ended"; fact = "killed by signal " $6 }
      else if ($4 == 1 && $5 == "") { new = "failed"; rule = "ended"; fact = "it has ended, and its exit code is not known" }
      else if ($4 == 1 && $5 + 0 > 128) { new = "failed"; rule = "ended"; fact = "killed by signal " ($5 - 128) }
      else if ($4 == 1 && $5 + 0 == 0) { new = "done"; rule = "ended"; fact = "exit code 0" }
      else if ($4 == 1) { new = "failed"; rule = "ended"; fact = "exit code " $5 }
      else if ($13 != "" && ($15 == "" || $15 + 0 > $14 + 0)) { new = $13; rule = "report"; fact = "it said so itself " plural($14 + 0) " ago" }
      else if ($3 == 1 && age >= 1) { new = "waiting"; rule = "bell"; fact = "it rang the bell" }
      else if ($12 == "working") { new = "working"; rule = "pattern"; fact = "its screen matches a working pattern of the profile" }
      else if ($12 == "waiting") { new = "waiting"; rule = "pattern"; fact = "its screen matches a waiting pattern of the profile"; is_sure = 0 }
      else if ($7 == 1 && $8 == 1) { new = "idle"; rule = "shell"; fact = "a shell shows its prompt" }
      else if ($8 == "0" && $9 == 1) { new = "waiting"; rule = "reads"; fact = "it reads a line from its terminal" }
      else if (age < $11) { new = "working"; rule = "output"; fact = "it printed " plural(age) " ago" }
      else if ($10 != "" && $10 + 0 >= 2) { new = "working"; rule = "cpu"; fact = "it uses " $10 " % of a core" }
      else if ($8 == 1 && turn[name] == 1) { new = "waiting"; rule = "turn"; fact = "it printed, and has been quiet since"; is_sure = 0 }
      else if ($8 == 1) { new = "idle"; rule = "keys"; fact = "it waits for keys" }
      else { new = "working"; rule = "quiet"; fact = "it is quiet, and does not read its terminal" }
      # A guess must hold for two looks.
      if (!is_sure && state[name] != new && candidate[name] != new) {
        candidate[name] = new
        if (state[name] != "") { new = state[name]; rule = why[name]; fact = evidence[name] }
        else { new = "starting"; rule = "new"; fact = "it has just been started" }
      } else candidate[name] = is_sure ? "" : new
      if (state[name] != new) since[name] = up
      print name, new, since[name], rule, fact, busy[name], turn[name], candidate[name]
    }' "$3" "$2"
}
