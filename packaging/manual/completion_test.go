package manual_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Each shell is asked in its own way what it makes of "fob key p" and a Tab.
var shells = map[string]string{
	"bash": `. /usr/share/bash-completion/bash_completion
. "$completions/bash/fob"
COMP_WORDS=(fob key p) COMP_CWORD=2 COMP_LINE='fob key p' COMP_POINT=9
__start_fob
echo "${COMPREPLY[@]}"`,
	"fish": `source "$completions/fish/fob.fish"; complete -C 'fob key p'`,
	"zsh": `zmodload zsh/zpty
zpty inner zsh -f -i
zpty -w inner "PS1= fpath=(\$completions/zsh \$fpath); autoload -U compinit; compinit -u -D; bindkey '^I' complete-word"
zpty -w inner "echo rea''dy"
zpty -r inner line '*ready*'
zpty -w -n inner $'fob key p\t'
zpty -r inner line '*key pin*'
print -r -- "$line"
zpty -d inner`,
}

func TestCompletions(t *testing.T) {
	for shell, script := range shells {
		t.Run(shell, func(t *testing.T) {
			if _, err := exec.LookPath(shell); err != nil {
				t.Fatal(err)
			}
			c := exec.CommandContext(t.Context(), shell, "-c", script)
			c.Env = append(os.Environ(), "completions="+folder(t)+"/completions", "PATH="+folder(t)+"/bin:"+os.Getenv("PATH"),
				"HOME="+t.TempDir(), "TERM=dumb")
			out, err := c.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "pin") {
				t.Errorf("%s, %v", out, err)
			}
		})
	}
}

// TestDaemonCompletes: flags, of a program without commands.
func TestDaemonCompletes(t *testing.T) {
	out, err := exec.Command(folder(t)+"/bin/fobd", "__complete", "--idle").Output()
	if err != nil || !strings.HasPrefix(string(out), "--idle-exit\t") {
		t.Errorf("%s, %v", out, err)
	}
}
