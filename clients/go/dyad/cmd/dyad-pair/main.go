// Dyad-pair plays one side of a scripted call. The other side is another client's
// dyad-pair. clients/INTEROP.md says what it does and prints.
package main

import (
	"context"
	"flag"
	"os"
	"time"
)

// How long a scenario may take.
const patience = 100 * time.Second

func main() {
	role := flag.String("role", "", "caller or callee")
	target := flag.String("target", "", "the Dyad server, `HOST:PORT`")
	token := flag.String("token", "", "the `JWT`")
	room := flag.String("room", "", "`ID` of the room that the callee joins")
	scenario := flag.String("scenario", "", "call, cut, glare, full, unknown or badtoken")
	flag.Parse()
	play := plays[*scenario+" "+*role]
	if flag.NArg() > 0 || play == nil || *target == "" || *token == "" || (*role == "callee") != (*room != "") {
		flag.Usage()
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s := enter(ctx, *role, *target, *token)
	play(s, *room)
	s.must(s.Close())
}
