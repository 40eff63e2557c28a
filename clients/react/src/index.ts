"use client";

export { useCall } from "./use_call.js";
export type { CallResult, UseCallOptions } from "./use_call.js";
export { useUserMedia } from "./use_user_media.js";
export type { UserMedia } from "./use_user_media.js";
export { Video } from "./video.js";
export type { VideoProps } from "./video.js";
export type { CallView } from "./stay.js";
