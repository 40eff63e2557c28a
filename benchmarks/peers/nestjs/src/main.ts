import "reflect-metadata";
import { randomUUID } from "node:crypto";
import { Module } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { JwtModule, JwtService } from "@nestjs/jwt";
import {
  ConnectedSocket,
  MessageBody,
  type OnGatewayConnection,
  type OnGatewayDisconnect,
  SubscribeMessage,
  WebSocketGateway,
} from "@nestjs/websockets";
import type { Socket } from "socket.io";

interface Participant {
  id: string;
  email: string;
}

interface Signal {
  room_id?: string;
  sdp?: string;
  candidate?: RTCIceCandidateInit;
}

interface RTCIceCandidateInit {
  candidate?: string;
  sdpMid?: string | null;
  sdpMLineIndex?: number | null;
  usernameFragment?: string | null;
}

// TRANSPORTS=websocket is what the tutorials advise; the default starts with polling.
const options = process.env["TRANSPORTS"] === "websocket" ? { transports: ["websocket" as const] } : {};

@WebSocketGateway(options)
class SignalingGateway implements OnGatewayConnection, OnGatewayDisconnect {
  private readonly rooms = new Map<string, Set<Socket>>();

  constructor(private readonly jwt: JwtService) {}

  handleConnection(client: Socket): void {
    try {
      const { sub, email } = this.jwt.verify<{ sub: string; email: string }>(client.handshake.auth["token"]);
      client.data.user = { id: sub, email } satisfies Participant;
    } catch {
      client.disconnect(true);
    }
  }

  handleDisconnect(client: Socket): void {
    this.leave(client);
  }

  @SubscribeMessage("join_room")
  join(@ConnectedSocket() client: Socket, @MessageBody() body: Signal): Signal | { error: string } {
    const id = body.room_id ?? randomUUID();
    const room = this.rooms.get(id) ?? new Set<Socket>();
    if (room.size >= 2) {
      return { error: "room full" };
    }
    room.add(client);
    this.rooms.set(id, room);
    client.data.room = id;
    this.tell(client, "join_room", { room_id: id });
    return { room_id: id };
  }

  @SubscribeMessage("leave_room")
  left(@ConnectedSocket() client: Socket): void {
    this.leave(client);
  }

  @SubscribeMessage("offer")
  offer(@ConnectedSocket() client: Socket, @MessageBody() body: Signal): void {
    this.tell(client, "offer", body);
  }

  @SubscribeMessage("answer")
  answer(@ConnectedSocket() client: Socket, @MessageBody() body: Signal): void {
    this.tell(client, "answer", body);
  }

  @SubscribeMessage("ice_candidate")
  candidate(@ConnectedSocket() client: Socket, @MessageBody() body: Signal): void {
    this.tell(client, "ice_candidate", body);
  }

  private leave(client: Socket): void {
    const id: string | undefined = client.data.room;
    const room = id === undefined ? undefined : this.rooms.get(id);
    if (id === undefined || room === undefined) {
      return;
    }
    this.tell(client, "leave_room", { room_id: id });
    room.delete(client);
    if (room.size === 0) {
      this.rooms.delete(id);
    }
    client.data.room = undefined;
  }

  private tell(client: Socket, event: string, body: Signal): void {
    for (const peer of this.rooms.get(client.data.room) ?? []) {
      if (peer !== client) {
        peer.emit(event, { ...body, sender: client.data.user });
      }
    }
  }
}

@Module({
  imports: [JwtModule.register({ secret: process.env["SECRET"] })],
  providers: [SignalingGateway],
})
class AppModule {}

const app = await NestFactory.create(AppModule, { logger: ["error", "warn"] });
await app.listen(Number(process.env["PORT"]), "127.0.0.1");
