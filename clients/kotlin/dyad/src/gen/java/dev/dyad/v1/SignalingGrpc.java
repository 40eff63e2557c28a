package dev.dyad.v1;

import static io.grpc.MethodDescriptor.generateFullMethodName;

/**
 * <pre>
 * Signaling between the two participants of a call.
 * Every stream and every request carries the app's own JWT in the metadata
 * `authorization: Bearer &lt;token&gt;`. The server checks it when a connection opens
 * (Signal, Listen, every resume). The token is then good for that connection
 * until it ends, even after the token's `exp`. A server can be configured to
 * end the connection at `exp` with UNAUTHENTICATED. A client with a new token
 * then resumes and loses nothing.
 * It may also carry the metadata `dyad-routing-key`: eight digits 0-9 and a-f, by
 * which a proxy sends both participants of a room to the same node. They are the
 * last digits of the room's id. Before a `join_room` that creates a room they are
 * random, and the server makes an id that ends with them. Nothing else depends
 * on them: without them, or with others, everything works across nodes.
 * The gRPC status that a stream or a request ends with says what to do next:
 * - UNAUTHENTICATED: reconnect with a new token.
 * - PERMISSION_DENIED: do not reconnect.
 * - NOT_FOUND: open a new session with Listen.
 * - RESOURCE_EXHAUSTED: reconnect, and send less or read faster.
 * - DEADLINE_EXCEEDED: reconnect if you want to.
 * - ABORTED: join the room again.
 * - UNAVAILABLE: reconnect after the time in the trailer `retry-after-ms`.
 * If that trailer is negative, another connection of the same user has the
 * seat: do not reconnect.
 * Each status that the server sends has the trailer `dyad-status`, which
 * repeats it as a number. A status without it comes from a proxy, or from gRPC
 * itself: to a client that has a seat, it is a broken connection.
 * One user has one seat in a room. If a user enters a room again, the newest
 * connection takes the seat, and the older stream ends with ABORTED.
 * A message without frames is a heartbeat. The server sends one when it has
 * sent or received nothing for a while (10 s). The participant answers with any
 * message; an empty one is enough. A participant that has numbered a frame and
 * then sends nothing for its lease (25 s) counts as a broken connection.
 * </pre>
 */
@io.grpc.stub.annotations.GrpcGenerated
public final class SignalingGrpc {

  private SignalingGrpc() {}

  public static final java.lang.String SERVICE_NAME = "dyad.v1.Signaling";

  // Static method descriptors that strictly reflect the proto.
  private static volatile io.grpc.MethodDescriptor<dev.dyad.v1.SignalRequest,
      dev.dyad.v1.SignalResponse> getSignalMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "Signal",
      requestType = dev.dyad.v1.SignalRequest.class,
      responseType = dev.dyad.v1.SignalResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.BIDI_STREAMING)
  public static io.grpc.MethodDescriptor<dev.dyad.v1.SignalRequest,
      dev.dyad.v1.SignalResponse> getSignalMethod() {
    io.grpc.MethodDescriptor<dev.dyad.v1.SignalRequest, dev.dyad.v1.SignalResponse> getSignalMethod;
    if ((getSignalMethod = SignalingGrpc.getSignalMethod) == null) {
      synchronized (SignalingGrpc.class) {
        if ((getSignalMethod = SignalingGrpc.getSignalMethod) == null) {
          SignalingGrpc.getSignalMethod = getSignalMethod =
              io.grpc.MethodDescriptor.<dev.dyad.v1.SignalRequest, dev.dyad.v1.SignalResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.BIDI_STREAMING)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "Signal"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.lite.ProtoLiteUtils.marshaller(
                  dev.dyad.v1.SignalRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.lite.ProtoLiteUtils.marshaller(
                  dev.dyad.v1.SignalResponse.getDefaultInstance()))
              .build();
        }
      }
    }
    return getSignalMethod;
  }

  private static volatile io.grpc.MethodDescriptor<dev.dyad.v1.ListenRequest,
      dev.dyad.v1.ListenResponse> getListenMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "Listen",
      requestType = dev.dyad.v1.ListenRequest.class,
      responseType = dev.dyad.v1.ListenResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.SERVER_STREAMING)
  public static io.grpc.MethodDescriptor<dev.dyad.v1.ListenRequest,
      dev.dyad.v1.ListenResponse> getListenMethod() {
    io.grpc.MethodDescriptor<dev.dyad.v1.ListenRequest, dev.dyad.v1.ListenResponse> getListenMethod;
    if ((getListenMethod = SignalingGrpc.getListenMethod) == null) {
      synchronized (SignalingGrpc.class) {
        if ((getListenMethod = SignalingGrpc.getListenMethod) == null) {
          SignalingGrpc.getListenMethod = getListenMethod =
              io.grpc.MethodDescriptor.<dev.dyad.v1.ListenRequest, dev.dyad.v1.ListenResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.SERVER_STREAMING)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "Listen"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.lite.ProtoLiteUtils.marshaller(
                  dev.dyad.v1.ListenRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.lite.ProtoLiteUtils.marshaller(
                  dev.dyad.v1.ListenResponse.getDefaultInstance()))
              .build();
        }
      }
    }
    return getListenMethod;
  }

  private static volatile io.grpc.MethodDescriptor<dev.dyad.v1.SendRequest,
      dev.dyad.v1.SendResponse> getSendMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "Send",
      requestType = dev.dyad.v1.SendRequest.class,
      responseType = dev.dyad.v1.SendResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<dev.dyad.v1.SendRequest,
      dev.dyad.v1.SendResponse> getSendMethod() {
    io.grpc.MethodDescriptor<dev.dyad.v1.SendRequest, dev.dyad.v1.SendResponse> getSendMethod;
    if ((getSendMethod = SignalingGrpc.getSendMethod) == null) {
      synchronized (SignalingGrpc.class) {
        if ((getSendMethod = SignalingGrpc.getSendMethod) == null) {
          SignalingGrpc.getSendMethod = getSendMethod =
              io.grpc.MethodDescriptor.<dev.dyad.v1.SendRequest, dev.dyad.v1.SendResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "Send"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.lite.ProtoLiteUtils.marshaller(
                  dev.dyad.v1.SendRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.lite.ProtoLiteUtils.marshaller(
                  dev.dyad.v1.SendResponse.getDefaultInstance()))
              .build();
        }
      }
    }
    return getSendMethod;
  }

  /**
   * Creates a new async stub that supports all call types for the service
   */
  public static SignalingStub newStub(io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<SignalingStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<SignalingStub>() {
        @java.lang.Override
        public SignalingStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new SignalingStub(channel, callOptions);
        }
      };
    return SignalingStub.newStub(factory, channel);
  }

  /**
   * Creates a new blocking-style stub that supports all types of calls on the service
   */
  public static SignalingBlockingV2Stub newBlockingV2Stub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<SignalingBlockingV2Stub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<SignalingBlockingV2Stub>() {
        @java.lang.Override
        public SignalingBlockingV2Stub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new SignalingBlockingV2Stub(channel, callOptions);
        }
      };
    return SignalingBlockingV2Stub.newStub(factory, channel);
  }

  /**
   * Creates a new blocking-style stub that supports unary and streaming output calls on the service
   */
  public static SignalingBlockingStub newBlockingStub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<SignalingBlockingStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<SignalingBlockingStub>() {
        @java.lang.Override
        public SignalingBlockingStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new SignalingBlockingStub(channel, callOptions);
        }
      };
    return SignalingBlockingStub.newStub(factory, channel);
  }

  /**
   * Creates a new ListenableFuture-style stub that supports unary calls on the service
   */
  public static SignalingFutureStub newFutureStub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<SignalingFutureStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<SignalingFutureStub>() {
        @java.lang.Override
        public SignalingFutureStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new SignalingFutureStub(channel, callOptions);
        }
      };
    return SignalingFutureStub.newStub(factory, channel);
  }

  /**
   * <pre>
   * Signaling between the two participants of a call.
   * Every stream and every request carries the app's own JWT in the metadata
   * `authorization: Bearer &lt;token&gt;`. The server checks it when a connection opens
   * (Signal, Listen, every resume). The token is then good for that connection
   * until it ends, even after the token's `exp`. A server can be configured to
   * end the connection at `exp` with UNAUTHENTICATED. A client with a new token
   * then resumes and loses nothing.
   * It may also carry the metadata `dyad-routing-key`: eight digits 0-9 and a-f, by
   * which a proxy sends both participants of a room to the same node. They are the
   * last digits of the room's id. Before a `join_room` that creates a room they are
   * random, and the server makes an id that ends with them. Nothing else depends
   * on them: without them, or with others, everything works across nodes.
   * The gRPC status that a stream or a request ends with says what to do next:
   * - UNAUTHENTICATED: reconnect with a new token.
   * - PERMISSION_DENIED: do not reconnect.
   * - NOT_FOUND: open a new session with Listen.
   * - RESOURCE_EXHAUSTED: reconnect, and send less or read faster.
   * - DEADLINE_EXCEEDED: reconnect if you want to.
   * - ABORTED: join the room again.
   * - UNAVAILABLE: reconnect after the time in the trailer `retry-after-ms`.
   * If that trailer is negative, another connection of the same user has the
   * seat: do not reconnect.
   * Each status that the server sends has the trailer `dyad-status`, which
   * repeats it as a number. A status without it comes from a proxy, or from gRPC
   * itself: to a client that has a seat, it is a broken connection.
   * One user has one seat in a room. If a user enters a room again, the newest
   * connection takes the seat, and the older stream ends with ABORTED.
   * A message without frames is a heartbeat. The server sends one when it has
   * sent or received nothing for a while (10 s). The participant answers with any
   * message; an empty one is enough. A participant that has numbered a frame and
   * then sends nothing for its lease (25 s) counts as a broken connection.
   * </pre>
   */
  public interface AsyncService {

    /**
     * <pre>
     * For clients that speak gRPC: one bidirectional stream per participant.
     * </pre>
     */
    default io.grpc.stub.StreamObserver<dev.dyad.v1.SignalRequest> signal(
        io.grpc.stub.StreamObserver<dev.dyad.v1.SignalResponse> responseObserver) {
      return io.grpc.stub.ServerCalls.asyncUnimplementedStreamingCall(getSignalMethod(), responseObserver);
    }

    /**
     * <pre>
     * For browsers, because grpc-web has no bidirectional streams. Carries what
     * Signal sends to the client. The first response has the session id that
     * every Send names.
     * </pre>
     */
    default void listen(dev.dyad.v1.ListenRequest request,
        io.grpc.stub.StreamObserver<dev.dyad.v1.ListenResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getListenMethod(), responseObserver);
    }

    /**
     * <pre>
     * For browsers. Carries what Signal receives from the client. Answers arrive
     * on Listen. The token is the one that opened the session, even if it has
     * expired since, or any valid token with the same `sub`.
     * </pre>
     */
    default void send(dev.dyad.v1.SendRequest request,
        io.grpc.stub.StreamObserver<dev.dyad.v1.SendResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getSendMethod(), responseObserver);
    }
  }

  /**
   * Base class for the server implementation of the service Signaling.
   * <pre>
   * Signaling between the two participants of a call.
   * Every stream and every request carries the app's own JWT in the metadata
   * `authorization: Bearer &lt;token&gt;`. The server checks it when a connection opens
   * (Signal, Listen, every resume). The token is then good for that connection
   * until it ends, even after the token's `exp`. A server can be configured to
   * end the connection at `exp` with UNAUTHENTICATED. A client with a new token
   * then resumes and loses nothing.
   * It may also carry the metadata `dyad-routing-key`: eight digits 0-9 and a-f, by
   * which a proxy sends both participants of a room to the same node. They are the
   * last digits of the room's id. Before a `join_room` that creates a room they are
   * random, and the server makes an id that ends with them. Nothing else depends
   * on them: without them, or with others, everything works across nodes.
   * The gRPC status that a stream or a request ends with says what to do next:
   * - UNAUTHENTICATED: reconnect with a new token.
   * - PERMISSION_DENIED: do not reconnect.
   * - NOT_FOUND: open a new session with Listen.
   * - RESOURCE_EXHAUSTED: reconnect, and send less or read faster.
   * - DEADLINE_EXCEEDED: reconnect if you want to.
   * - ABORTED: join the room again.
   * - UNAVAILABLE: reconnect after the time in the trailer `retry-after-ms`.
   * If that trailer is negative, another connection of the same user has the
   * seat: do not reconnect.
   * Each status that the server sends has the trailer `dyad-status`, which
   * repeats it as a number. A status without it comes from a proxy, or from gRPC
   * itself: to a client that has a seat, it is a broken connection.
   * One user has one seat in a room. If a user enters a room again, the newest
   * connection takes the seat, and the older stream ends with ABORTED.
   * A message without frames is a heartbeat. The server sends one when it has
   * sent or received nothing for a while (10 s). The participant answers with any
   * message; an empty one is enough. A participant that has numbered a frame and
   * then sends nothing for its lease (25 s) counts as a broken connection.
   * </pre>
   */
  public static abstract class SignalingImplBase
      implements io.grpc.BindableService, AsyncService {

    @java.lang.Override public final io.grpc.ServerServiceDefinition bindService() {
      return SignalingGrpc.bindService(this);
    }
  }

  /**
   * A stub to allow clients to do asynchronous rpc calls to service Signaling.
   * <pre>
   * Signaling between the two participants of a call.
   * Every stream and every request carries the app's own JWT in the metadata
   * `authorization: Bearer &lt;token&gt;`. The server checks it when a connection opens
   * (Signal, Listen, every resume). The token is then good for that connection
   * until it ends, even after the token's `exp`. A server can be configured to
   * end the connection at `exp` with UNAUTHENTICATED. A client with a new token
   * then resumes and loses nothing.
   * It may also carry the metadata `dyad-routing-key`: eight digits 0-9 and a-f, by
   * which a proxy sends both participants of a room to the same node. They are the
   * last digits of the room's id. Before a `join_room` that creates a room they are
   * random, and the server makes an id that ends with them. Nothing else depends
   * on them: without them, or with others, everything works across nodes.
   * The gRPC status that a stream or a request ends with says what to do next:
   * - UNAUTHENTICATED: reconnect with a new token.
   * - PERMISSION_DENIED: do not reconnect.
   * - NOT_FOUND: open a new session with Listen.
   * - RESOURCE_EXHAUSTED: reconnect, and send less or read faster.
   * - DEADLINE_EXCEEDED: reconnect if you want to.
   * - ABORTED: join the room again.
   * - UNAVAILABLE: reconnect after the time in the trailer `retry-after-ms`.
   * If that trailer is negative, another connection of the same user has the
   * seat: do not reconnect.
   * Each status that the server sends has the trailer `dyad-status`, which
   * repeats it as a number. A status without it comes from a proxy, or from gRPC
   * itself: to a client that has a seat, it is a broken connection.
   * One user has one seat in a room. If a user enters a room again, the newest
   * connection takes the seat, and the older stream ends with ABORTED.
   * A message without frames is a heartbeat. The server sends one when it has
   * sent or received nothing for a while (10 s). The participant answers with any
   * message; an empty one is enough. A participant that has numbered a frame and
   * then sends nothing for its lease (25 s) counts as a broken connection.
   * </pre>
   */
  public static final class SignalingStub
      extends io.grpc.stub.AbstractAsyncStub<SignalingStub> {
    private SignalingStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected SignalingStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new SignalingStub(channel, callOptions);
    }

    /**
     * <pre>
     * For clients that speak gRPC: one bidirectional stream per participant.
     * </pre>
     */
    public io.grpc.stub.StreamObserver<dev.dyad.v1.SignalRequest> signal(
        io.grpc.stub.StreamObserver<dev.dyad.v1.SignalResponse> responseObserver) {
      return io.grpc.stub.ClientCalls.asyncBidiStreamingCall(
          getChannel().newCall(getSignalMethod(), getCallOptions()), responseObserver);
    }

    /**
     * <pre>
     * For browsers, because grpc-web has no bidirectional streams. Carries what
     * Signal sends to the client. The first response has the session id that
     * every Send names.
     * </pre>
     */
    public void listen(dev.dyad.v1.ListenRequest request,
        io.grpc.stub.StreamObserver<dev.dyad.v1.ListenResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncServerStreamingCall(
          getChannel().newCall(getListenMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * For browsers. Carries what Signal receives from the client. Answers arrive
     * on Listen. The token is the one that opened the session, even if it has
     * expired since, or any valid token with the same `sub`.
     * </pre>
     */
    public void send(dev.dyad.v1.SendRequest request,
        io.grpc.stub.StreamObserver<dev.dyad.v1.SendResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getSendMethod(), getCallOptions()), request, responseObserver);
    }
  }

  /**
   * A stub to allow clients to do synchronous rpc calls to service Signaling.
   * <pre>
   * Signaling between the two participants of a call.
   * Every stream and every request carries the app's own JWT in the metadata
   * `authorization: Bearer &lt;token&gt;`. The server checks it when a connection opens
   * (Signal, Listen, every resume). The token is then good for that connection
   * until it ends, even after the token's `exp`. A server can be configured to
   * end the connection at `exp` with UNAUTHENTICATED. A client with a new token
   * then resumes and loses nothing.
   * It may also carry the metadata `dyad-routing-key`: eight digits 0-9 and a-f, by
   * which a proxy sends both participants of a room to the same node. They are the
   * last digits of the room's id. Before a `join_room` that creates a room they are
   * random, and the server makes an id that ends with them. Nothing else depends
   * on them: without them, or with others, everything works across nodes.
   * The gRPC status that a stream or a request ends with says what to do next:
   * - UNAUTHENTICATED: reconnect with a new token.
   * - PERMISSION_DENIED: do not reconnect.
   * - NOT_FOUND: open a new session with Listen.
   * - RESOURCE_EXHAUSTED: reconnect, and send less or read faster.
   * - DEADLINE_EXCEEDED: reconnect if you want to.
   * - ABORTED: join the room again.
   * - UNAVAILABLE: reconnect after the time in the trailer `retry-after-ms`.
   * If that trailer is negative, another connection of the same user has the
   * seat: do not reconnect.
   * Each status that the server sends has the trailer `dyad-status`, which
   * repeats it as a number. A status without it comes from a proxy, or from gRPC
   * itself: to a client that has a seat, it is a broken connection.
   * One user has one seat in a room. If a user enters a room again, the newest
   * connection takes the seat, and the older stream ends with ABORTED.
   * A message without frames is a heartbeat. The server sends one when it has
   * sent or received nothing for a while (10 s). The participant answers with any
   * message; an empty one is enough. A participant that has numbered a frame and
   * then sends nothing for its lease (25 s) counts as a broken connection.
   * </pre>
   */
  public static final class SignalingBlockingV2Stub
      extends io.grpc.stub.AbstractBlockingStub<SignalingBlockingV2Stub> {
    private SignalingBlockingV2Stub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected SignalingBlockingV2Stub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new SignalingBlockingV2Stub(channel, callOptions);
    }

    /**
     * <pre>
     * For clients that speak gRPC: one bidirectional stream per participant.
     * </pre>
     */
    @io.grpc.ExperimentalApi("https://github.com/grpc/grpc-java/issues/10918")
    public io.grpc.stub.BlockingClientCall<dev.dyad.v1.SignalRequest, dev.dyad.v1.SignalResponse>
        signal() {
      return io.grpc.stub.ClientCalls.blockingBidiStreamingCall(
          getChannel(), getSignalMethod(), getCallOptions());
    }

    /**
     * <pre>
     * For browsers, because grpc-web has no bidirectional streams. Carries what
     * Signal sends to the client. The first response has the session id that
     * every Send names.
     * </pre>
     */
    @io.grpc.ExperimentalApi("https://github.com/grpc/grpc-java/issues/10918")
    public io.grpc.stub.BlockingClientCall<?, dev.dyad.v1.ListenResponse>
        listen(dev.dyad.v1.ListenRequest request) {
      return io.grpc.stub.ClientCalls.blockingV2ServerStreamingCall(
          getChannel(), getListenMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * For browsers. Carries what Signal receives from the client. Answers arrive
     * on Listen. The token is the one that opened the session, even if it has
     * expired since, or any valid token with the same `sub`.
     * </pre>
     */
    public dev.dyad.v1.SendResponse send(dev.dyad.v1.SendRequest request) throws io.grpc.StatusException {
      return io.grpc.stub.ClientCalls.blockingV2UnaryCall(
          getChannel(), getSendMethod(), getCallOptions(), request);
    }
  }

  /**
   * A stub to allow clients to do limited synchronous rpc calls to service Signaling.
   * <pre>
   * Signaling between the two participants of a call.
   * Every stream and every request carries the app's own JWT in the metadata
   * `authorization: Bearer &lt;token&gt;`. The server checks it when a connection opens
   * (Signal, Listen, every resume). The token is then good for that connection
   * until it ends, even after the token's `exp`. A server can be configured to
   * end the connection at `exp` with UNAUTHENTICATED. A client with a new token
   * then resumes and loses nothing.
   * It may also carry the metadata `dyad-routing-key`: eight digits 0-9 and a-f, by
   * which a proxy sends both participants of a room to the same node. They are the
   * last digits of the room's id. Before a `join_room` that creates a room they are
   * random, and the server makes an id that ends with them. Nothing else depends
   * on them: without them, or with others, everything works across nodes.
   * The gRPC status that a stream or a request ends with says what to do next:
   * - UNAUTHENTICATED: reconnect with a new token.
   * - PERMISSION_DENIED: do not reconnect.
   * - NOT_FOUND: open a new session with Listen.
   * - RESOURCE_EXHAUSTED: reconnect, and send less or read faster.
   * - DEADLINE_EXCEEDED: reconnect if you want to.
   * - ABORTED: join the room again.
   * - UNAVAILABLE: reconnect after the time in the trailer `retry-after-ms`.
   * If that trailer is negative, another connection of the same user has the
   * seat: do not reconnect.
   * Each status that the server sends has the trailer `dyad-status`, which
   * repeats it as a number. A status without it comes from a proxy, or from gRPC
   * itself: to a client that has a seat, it is a broken connection.
   * One user has one seat in a room. If a user enters a room again, the newest
   * connection takes the seat, and the older stream ends with ABORTED.
   * A message without frames is a heartbeat. The server sends one when it has
   * sent or received nothing for a while (10 s). The participant answers with any
   * message; an empty one is enough. A participant that has numbered a frame and
   * then sends nothing for its lease (25 s) counts as a broken connection.
   * </pre>
   */
  public static final class SignalingBlockingStub
      extends io.grpc.stub.AbstractBlockingStub<SignalingBlockingStub> {
    private SignalingBlockingStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected SignalingBlockingStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new SignalingBlockingStub(channel, callOptions);
    }

    /**
     * <pre>
     * For browsers, because grpc-web has no bidirectional streams. Carries what
     * Signal sends to the client. The first response has the session id that
     * every Send names.
     * </pre>
     */
    public java.util.Iterator<dev.dyad.v1.ListenResponse> listen(
        dev.dyad.v1.ListenRequest request) {
      return io.grpc.stub.ClientCalls.blockingServerStreamingCall(
          getChannel(), getListenMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * For browsers. Carries what Signal receives from the client. Answers arrive
     * on Listen. The token is the one that opened the session, even if it has
     * expired since, or any valid token with the same `sub`.
     * </pre>
     */
    public dev.dyad.v1.SendResponse send(dev.dyad.v1.SendRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getSendMethod(), getCallOptions(), request);
    }
  }

  /**
   * A stub to allow clients to do ListenableFuture-style rpc calls to service Signaling.
   * <pre>
   * Signaling between the two participants of a call.
   * Every stream and every request carries the app's own JWT in the metadata
   * `authorization: Bearer &lt;token&gt;`. The server checks it when a connection opens
   * (Signal, Listen, every resume). The token is then good for that connection
   * until it ends, even after the token's `exp`. A server can be configured to
   * end the connection at `exp` with UNAUTHENTICATED. A client with a new token
   * then resumes and loses nothing.
   * It may also carry the metadata `dyad-routing-key`: eight digits 0-9 and a-f, by
   * which a proxy sends both participants of a room to the same node. They are the
   * last digits of the room's id. Before a `join_room` that creates a room they are
   * random, and the server makes an id that ends with them. Nothing else depends
   * on them: without them, or with others, everything works across nodes.
   * The gRPC status that a stream or a request ends with says what to do next:
   * - UNAUTHENTICATED: reconnect with a new token.
   * - PERMISSION_DENIED: do not reconnect.
   * - NOT_FOUND: open a new session with Listen.
   * - RESOURCE_EXHAUSTED: reconnect, and send less or read faster.
   * - DEADLINE_EXCEEDED: reconnect if you want to.
   * - ABORTED: join the room again.
   * - UNAVAILABLE: reconnect after the time in the trailer `retry-after-ms`.
   * If that trailer is negative, another connection of the same user has the
   * seat: do not reconnect.
   * Each status that the server sends has the trailer `dyad-status`, which
   * repeats it as a number. A status without it comes from a proxy, or from gRPC
   * itself: to a client that has a seat, it is a broken connection.
   * One user has one seat in a room. If a user enters a room again, the newest
   * connection takes the seat, and the older stream ends with ABORTED.
   * A message without frames is a heartbeat. The server sends one when it has
   * sent or received nothing for a while (10 s). The participant answers with any
   * message; an empty one is enough. A participant that has numbered a frame and
   * then sends nothing for its lease (25 s) counts as a broken connection.
   * </pre>
   */
  public static final class SignalingFutureStub
      extends io.grpc.stub.AbstractFutureStub<SignalingFutureStub> {
    private SignalingFutureStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected SignalingFutureStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new SignalingFutureStub(channel, callOptions);
    }

    /**
     * <pre>
     * For browsers. Carries what Signal receives from the client. Answers arrive
     * on Listen. The token is the one that opened the session, even if it has
     * expired since, or any valid token with the same `sub`.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<dev.dyad.v1.SendResponse> send(
        dev.dyad.v1.SendRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getSendMethod(), getCallOptions()), request);
    }
  }

  private static final int METHODID_LISTEN = 0;
  private static final int METHODID_SEND = 1;
  private static final int METHODID_SIGNAL = 2;

  private static final class MethodHandlers<Req, Resp> implements
      io.grpc.stub.ServerCalls.UnaryMethod<Req, Resp>,
      io.grpc.stub.ServerCalls.ServerStreamingMethod<Req, Resp>,
      io.grpc.stub.ServerCalls.ClientStreamingMethod<Req, Resp>,
      io.grpc.stub.ServerCalls.BidiStreamingMethod<Req, Resp> {
    private final AsyncService serviceImpl;
    private final int methodId;

    MethodHandlers(AsyncService serviceImpl, int methodId) {
      this.serviceImpl = serviceImpl;
      this.methodId = methodId;
    }

    @java.lang.Override
    @java.lang.SuppressWarnings("unchecked")
    public void invoke(Req request, io.grpc.stub.StreamObserver<Resp> responseObserver) {
      switch (methodId) {
        case METHODID_LISTEN:
          serviceImpl.listen((dev.dyad.v1.ListenRequest) request,
              (io.grpc.stub.StreamObserver<dev.dyad.v1.ListenResponse>) responseObserver);
          break;
        case METHODID_SEND:
          serviceImpl.send((dev.dyad.v1.SendRequest) request,
              (io.grpc.stub.StreamObserver<dev.dyad.v1.SendResponse>) responseObserver);
          break;
        default:
          throw new AssertionError();
      }
    }

    @java.lang.Override
    @java.lang.SuppressWarnings("unchecked")
    public io.grpc.stub.StreamObserver<Req> invoke(
        io.grpc.stub.StreamObserver<Resp> responseObserver) {
      switch (methodId) {
        case METHODID_SIGNAL:
          return (io.grpc.stub.StreamObserver<Req>) serviceImpl.signal(
              (io.grpc.stub.StreamObserver<dev.dyad.v1.SignalResponse>) responseObserver);
        default:
          throw new AssertionError();
      }
    }
  }

  public static final io.grpc.ServerServiceDefinition bindService(AsyncService service) {
    return io.grpc.ServerServiceDefinition.builder(getServiceDescriptor())
        .addMethod(
          getSignalMethod(),
          io.grpc.stub.ServerCalls.asyncBidiStreamingCall(
            new MethodHandlers<
              dev.dyad.v1.SignalRequest,
              dev.dyad.v1.SignalResponse>(
                service, METHODID_SIGNAL)))
        .addMethod(
          getListenMethod(),
          io.grpc.stub.ServerCalls.asyncServerStreamingCall(
            new MethodHandlers<
              dev.dyad.v1.ListenRequest,
              dev.dyad.v1.ListenResponse>(
                service, METHODID_LISTEN)))
        .addMethod(
          getSendMethod(),
          io.grpc.stub.ServerCalls.asyncUnaryCall(
            new MethodHandlers<
              dev.dyad.v1.SendRequest,
              dev.dyad.v1.SendResponse>(
                service, METHODID_SEND)))
        .build();
  }

  private static volatile io.grpc.ServiceDescriptor serviceDescriptor;

  public static io.grpc.ServiceDescriptor getServiceDescriptor() {
    io.grpc.ServiceDescriptor result = serviceDescriptor;
    if (result == null) {
      synchronized (SignalingGrpc.class) {
        result = serviceDescriptor;
        if (result == null) {
          serviceDescriptor = result = io.grpc.ServiceDescriptor.newBuilder(SERVICE_NAME)
              .addMethod(getSignalMethod())
              .addMethod(getListenMethod())
              .addMethod(getSendMethod())
              .build();
        }
      }
    }
    return result;
  }
}
