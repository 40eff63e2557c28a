package main

import (
	"fmt"
	"strings"

	"github.com/dyad-signaling/dyad/clients/go/dyad"
)

// How many candidates each side sends. The end of candidates comes after them.
const candidates = 200

func description(role, kind string) string {
	lines := []string{"v=0", "o=" + role + " 1 1 IN IP4 192.0.2.1", "s=" + kind + " ☎", "t=0 0", ""}
	return strings.Join(lines, "\r\n")
}

func candidate(role string, n int) dyad.Candidate {
	if n > candidates {
		return dyad.Candidate{}
	}
	index := uint32(0)
	made := dyad.Candidate{
		Candidate:     fmt.Sprintf("candidate:%d 1 udp 2122260223 192.0.2.1 %d typ host", n, 50000+n),
		SDPMLineIndex: &index,
	}
	if n%2 == 1 {
		mid := "0"
		made.SDPMid, made.UsernameFragment = &mid, &role
	}
	return made
}
