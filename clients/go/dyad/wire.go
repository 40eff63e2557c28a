package dyad

import dyadv1 "github.com/dyad-signaling/dyad/clients/go/dyad/v1"

// eventOf returns the event of a frame from the server, or nil if this client does
// not know it.
func eventOf(frame *dyadv1.Frame, roomID string) Event {
	sender := participantOf(frame.GetSender())
	switch event := frame.GetEvent().(type) {
	case *dyadv1.Frame_JoinRoom:
		return PeerJoined{roomID, sender}
	case *dyadv1.Frame_LeaveRoom:
		return PeerLeft{roomID, sender, Departure(event.LeaveRoom.GetReason())}
	case *dyadv1.Frame_Offer:
		return Offer{roomID, event.Offer.GetSdp(), sender}
	case *dyadv1.Frame_Answer:
		return Answer{roomID, event.Answer.GetSdp(), sender}
	case *dyadv1.Frame_IceCandidate:
		ice := event.IceCandidate
		return Candidate{ice.GetCandidate(), ice.SdpMid, ice.SdpMLineIndex, ice.UsernameFragment, roomID, sender}
	case *dyadv1.Frame_Error:
		return refusedOf(event.Error, roomID)
	default:
		return nil
	}
}

// roomOf returns the room in a join_room acknowledgement.
func roomOf(frame *dyadv1.Frame) Room {
	room := Room{ID: frame.GetRoomId(), Polite: frame.GetJoinRoom().GetPolite()}
	if peer := frame.GetJoinRoom().GetPeer(); peer != nil {
		participant := participantOf(peer)
		room.Peer = &participant
	}
	return room
}

func refusedOf(refused *dyadv1.Error, roomID string) *Refused {
	return &Refused{Refusal(refused.GetCode()), refused.GetMessage(), roomID}
}

func participantOf(participant *dyadv1.Participant) Participant {
	return Participant{participant.GetUserId(), participant.GetEmail()}
}

func joinRoom(roomID string, resumable bool) *dyadv1.Frame {
	join := &dyadv1.JoinRoom{Resumable: resumable}
	return &dyadv1.Frame{RoomId: roomID, Event: &dyadv1.Frame_JoinRoom{JoinRoom: join}}
}

func leaveRoom(roomID string) *dyadv1.Frame {
	return &dyadv1.Frame{RoomId: roomID, Event: &dyadv1.Frame_LeaveRoom{LeaveRoom: &dyadv1.LeaveRoom{}}}
}

// The frames below get their room's id when they are sent.

func offer(sdp string) *dyadv1.Frame {
	description := &dyadv1.SessionDescription{Sdp: sdp}
	return &dyadv1.Frame{Event: &dyadv1.Frame_Offer{Offer: description}}
}

func answer(sdp string) *dyadv1.Frame {
	description := &dyadv1.SessionDescription{Sdp: sdp}
	return &dyadv1.Frame{Event: &dyadv1.Frame_Answer{Answer: description}}
}

func iceCandidate(candidate Candidate) *dyadv1.Frame {
	ice := &dyadv1.IceCandidate{
		Candidate:        candidate.Candidate,
		SdpMid:           copied(candidate.SDPMid),
		SdpMLineIndex:    copied(candidate.SDPMLineIndex),
		UsernameFragment: copied(candidate.UsernameFragment),
	}
	return &dyadv1.Frame{Event: &dyadv1.Frame_IceCandidate{IceCandidate: ice}}
}

// copied returns a copy, so that the app cannot change a frame that waits.
func copied[T any](value *T) *T {
	if value == nil {
		return nil
	}
	kept := *value
	return &kept
}
