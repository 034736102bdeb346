"""The driving stack once more, slowly and obviously: objects and lists, one run at a time, no shortcuts, no numba."""

import math
from dataclasses import dataclass, field

import numpy as np

from credence.drivefi.data.variables import INDEX, VARIABLES, fault_effect
from credence.drivefi.world.stage import stage as build_stage

FAR = 120.0


def within(value, low, high):
    return low if value < low else high if value > high else value


@dataclass
class Track:
    hits: int = 0
    misses: int = 0
    x: np.ndarray = field(default_factory=lambda: np.zeros(2))  # gap, closing rate
    p: np.ndarray = field(default_factory=lambda: np.zeros((2, 2)))
    lateral: float = 0.0
    lateral_rate: float = 0.0
    kind: int = 0


@dataclass
class Car:
    s: float = 0.0
    d: float = 0.0
    psi: float = 0.0
    v: float = 0.0
    a: float = 0.0
    throttle: float = 0.0
    brake: float = 0.0
    steer: float = 0.0


class Stack:
    """One run; `run()` returns values [scenes, variables] and judged [scenes, 4]."""

    def __init__(self, scenario, constants, fault=None, begin=0, duration=0):
        self.c, self.stage, self.scenario = constants, build_stage(scenario, constants), scenario
        self.dt = self.stage.dt
        self.fault, self.begin, self.end = fault, begin, begin + duration
        self.car = Car(v=scenario.speed_mps)
        self.tracks = [Track() for _ in scenario.actors]
        self.triggered = [None] * len(scenario.actors)
        self.position = self.curvature = self.raw_steer = 0.0
        self.sent_throttle = self.sent_brake = self.integral = self.demand = 0.0
        self.reference = scenario.speed_mps
        self.obstacle = {"who": None, "speed": scenario.speed_mps, "acceleration": 0.0, "gap": 0.0}

    def out(self, name, value):
        if self.fault and self.fault.variable == name and self.begin <= self.scene < self.end:
            scales, number = fault_effect(VARIABLES[INDEX[name]], self.fault.value)
            value = number * value if scales else number
        self.row[INDEX[name]] = value
        return value

    def noise(self, column):
        return self.stage.noise[self.scene, column]

    def of_actor(self, actor, column):
        return self.noise(6 + 5 * actor + column)

    def where(self):
        """Place the actors: list of dicts."""
        places = []
        for number in range(len(self.scenario.actors)):
            kind, length, width, start, trigger, hidden = self.stage.actors[number]
            path = self.stage.paths[number]
            if self.triggered[number] is None:
                over = trigger - (start + path[0, 0] - self.car.s)
                if trigger <= 0 or (over >= 0 and self.scene == 0):
                    self.triggered[number] = 0.0
                elif over >= 0:
                    self.triggered[number] = self.scene - min(1.0, over / max(self.car.v * self.dt, 1e-6))
            started = self.triggered[number] is not None
            since = max(0.0, self.scene - self.triggered[number]) if started else 0.0
            x, y, v = (np.interp(since, range(len(path)), path[:, column]) for column in range(3))
            places.append(
                {
                    "kind": int(kind),
                    "length": length,
                    "width": width,
                    "gap": start + x - self.car.s,
                    "lateral": y,
                    "speed": v,
                    "sideways": path[int(since), 3] if started else 0.0,
                    "hidden": abs(y) > hidden,
                }
            )
        for one in places:
            one["seen"] = one["gap"] > 0 and not one["hidden"]
            for other in places:
                if other is not one and other["kind"] != 1 and 0 < other["gap"] < one["gap"] - 1:
                    ray = self.car.d + (one["lateral"] - self.car.d) * other["gap"] / one["gap"]
                    if abs(ray - other["lateral"]) < other["width"] / 2:
                        one["seen"] = False
        return places

    def judge(self, places):
        c, car = self.c, self.car
        cipo, lane_gap, lane_speed = FAR, FAR, 0.0
        for one in places:
            if not -(one["length"] + c.length_m) <= one["gap"] <= FAR:
                continue
            gap = max(0.0, one["gap"])
            if abs(one["lateral"] - car.d) < (one["width"] + c.width_m) / 2:
                cipo = min(cipo, gap)
            reach = (one["width"] + self.stage.lane_width) / 2
            later = one["lateral"] + c.side_foresight_s * one["sideways"]
            inside = abs(one["lateral"]) < reach or abs(later) < reach or one["lateral"] * later < 0
            if inside and gap < lane_gap:
                lane_gap, lane_speed = gap, one["speed"]
        kappa = math.tan(car.steer) / c.wheelbase_m - self.stage.curvature[int(car.s)]
        way = car.v**2 / (2 * c.a_max_mps2)
        # the stop by many small steps along the arc, not by its closed form
        steps = (np.arange(4000) + 0.5) / 4000 * way
        along = np.mean(np.cos(car.psi + kappa * steps)) * way
        across = np.mean(np.sin(car.psi + kappa * steps)) * way
        room = (self.stage.lane_width - c.width_m) / 2
        safe = min(FAR, lane_gap + max(lane_speed, 0) ** 2 / (2 * c.obstacle_braking_mps2))
        left = room - car.d if across >= 0 else room + car.d
        return [cipo, abs(car.d), safe - along, left - abs(across)]

    def lane(self):
        c, car, stage = self.c, self.car, self.stage
        speed = self.out("vehicle_velocity", max(0.0, car.v + c.speed_error_mps * self.noise(3)))
        acceleration = self.out("vehicle_acceleration", car.a + c.acceleration_error_mps2 * self.noise(4))
        heading = self.out("vehicle_heading", car.psi + c.heading_error_rad * self.noise(1))
        marked = bool(stage.marked[int(car.s)])
        lane = self.out("lane_type", float(marked)) == 1
        width = self.out("lane_width", stage.lane_width)
        true_curvature = stage.curvature[int(car.s + c.foresight_s * car.v)] + c.curvature_error_per_m * self.noise(2)
        reckoned = self.position + speed * heading * self.dt
        blind = marked and not lane and not c.free_space
        if lane and marked:
            position = width / 2 - (stage.lane_width / 2 - car.d + c.lane_error_m * self.noise(0))
            curvature = true_curvature
        elif lane:
            position, curvature = reckoned, 0.0
        elif not marked:
            position, curvature = reckoned, true_curvature
        elif c.free_space:
            position, curvature = car.d + 5 * c.lane_error_m * self.noise(0), true_curvature
        else:
            position, curvature = reckoned, self.curvature
        self.curvature = self.out("lane_curvature", curvature)
        self.position = self.out("vehicle_position", position)
        return speed, acceleration, heading, blind

    def sense(self, places, sensor):
        """Detections of one sensor: per actor None or [distance, class]."""
        c = self.c
        found = []
        for number, one in enumerate(places):
            if sensor == "camera":
                reach, drop = c.camera_range_m, self.of_actor(number, 3) < c.camera_dropout
                error = (c.camera_error * one["gap"] + c.camera_error_m) * self.of_actor(number, 0)
            else:
                reach, drop = c.lidar_range_m, self.of_actor(number, 4) < c.lidar_dropout
                error = c.lidar_error_m * self.of_actor(number, 1)
            hit = one["seen"] and one["gap"] < reach and not drop
            found.append([max(0.0, one["gap"] + error), one["kind"]] if hit else None)
        near = [
            n
            for n, one in enumerate(places)
            if found[n] and abs(one["lateral"]) <= (5.0 if one["kind"] == 1 else c.corridor_m)
        ]
        if not near:
            self.out(f"{sensor}_object_class", 0.0)
            self.out(f"{sensor}_object_distance", FAR)
            return found
        who = min(near, key=lambda n: found[n][0])
        found[who][1] = self.out(f"{sensor}_object_class", found[who][1])
        if found[who][1] == 0:
            found[who] = None
            self.out(f"{sensor}_object_distance", FAR)
        else:
            found[who][0] = self.out(f"{sensor}_object_distance", found[who][0])
        return found

    def follow(self, places, camera, lidar, acceleration):
        c, dt = self.c, self.dt
        move = np.array([[1, dt], [0, 1]])
        for number, track in enumerate(self.tracks):
            seen = [
                (distance[number], error)
                for distance, error in (
                    (lidar, lambda z: c.lidar_error_m),
                    (camera, lambda z: c.camera_error * max(z, 1.0) + c.camera_error_m),
                )
                if distance[number]
            ]
            lateral = places[number]["lateral"] + c.lateral_error_m * self.of_actor(number, 2)
            accepted = False
            if track.hits:
                track.x = move @ track.x - acceleration * np.array([dt**2 / 2, dt])
                track.p = move @ track.p @ move.T
                track.p += c.object_noise_mps2**2 * np.array([[dt**4 / 4, dt**3 / 2], [dt**3 / 2, dt**2]])
                track.lateral += track.lateral_rate * dt
                for (distance, _), error in seen:
                    spread = track.p[0, 0] + error(distance) ** 2
                    if (distance - track.x[0]) ** 2 <= c.gate * spread:
                        gain = track.p[:, 0] / spread
                        track.x = track.x + gain * (distance - track.x[0])
                        track.p = track.p - np.outer(gain, track.p[0])
                        accepted = True
                if camera[number] and lidar[number] and camera[number][1] == lidar[number][1]:
                    track.kind = camera[number][1]
                if accepted:
                    surprise = lateral - track.lateral
                    track.lateral += (1 - (1 - c.lateral_gain) ** (7.5 * dt)) * surprise
                    track.lateral_rate += c.lateral_rate_gain * (7.5 * dt) ** 2 * surprise / dt
            elif seen:
                (distance, kind), error = seen[0]
                fresh = Track(x=np.array([distance, 0.0]), p=np.diag([error(distance) ** 2, 400.0]))
                fresh.lateral, fresh.kind = lateral, kind
                self.tracks[number] = track = fresh
                accepted = True
            if accepted:
                track.hits, track.misses = min(track.hits + 1, 99), 0
            elif track.hits:
                track.misses += 1
                if track.misses > c.coast_scenes:
                    self.tracks[number] = Track()

    def fuse(self):
        c = self.c

        def in_path(track):
            later = track.lateral + track.lateral_rate * (
                c.pedestrian_foresight_s if track.kind == 1 else c.vehicle_foresight_s
            )
            return abs(track.lateral) < c.corridor_m or abs(later) < c.corridor_m or later * track.lateral < 0

        known = [n for n, t in enumerate(self.tracks) if t.hits >= c.register_hits and t.x[0] > -1 and in_path(t)]
        who = min(known, key=lambda n: self.tracks[n].x[0]) if known else None
        kind = self.out("fused_obstacle_class", self.tracks[who].kind if known else 0.0)
        if known and kind == 0:
            self.tracks[who], who = Track(), None
        elif known:
            self.tracks[who].kind = kind
        distance = self.out("fused_obstacle_distance", FAR if who is None else max(0.0, self.tracks[who].x[0]))
        return who, kind, distance

    def world(self, places, who, kind, distance, speed):
        c = self.c
        seen, gain = speed, 0.0
        if kind and who is not None:
            seen = speed + self.tracks[who].x[1]
            if self.obstacle["who"] == who:
                gain = self.obstacle["acceleration"]
                gain += c.acceleration_gain * 7.5 * self.dt * ((seen - self.obstacle["speed"]) / self.dt - gain)
        if c.free_space:
            ahead = [
                one["gap"]
                for one in places
                if 0 < one["gap"] < FAR and abs(one["lateral"] - self.car.d) < (one["width"] + c.width_m) / 2
            ]
            if ahead and min(ahead) < c.lidar_range_m:
                free = max(0.0, min(ahead) + 2 * c.lidar_error_m * self.noise(5))
                if not kind or free < distance - 2:
                    if abs(free - self.obstacle["gap"]) < 5:
                        rate = (free - self.obstacle["gap"]) / self.dt
                        weight = c.free_space_gain * 7.5 * self.dt
                        seen = (1 - weight) * self.obstacle["speed"] + weight * (speed + rate)
                    else:
                        seen = 0.0
                    gain, distance, kind = 0.0, free, max(kind, 2)
        seen = self.out("obstacle_velocity", seen)
        gain = self.out("obstacle_acceleration", gain)
        distance = self.out("obstacle_position", distance)
        self.obstacle = {"who": who, "speed": seen, "acceleration": gain, "gap": distance}
        return kind, distance, seen, gain

    def idm(self, v, closing, gap, standstill):
        c = self.c
        root = math.sqrt(c.comfort_acceleration_mps2 * c.comfort_braking_mps2)
        wanted = standstill + max(0.0, v * c.headway_s + v * closing / (2 * root))
        return c.comfort_acceleration_mps2 * (wanted / max(gap, 0.5)) ** 2

    def drive(self, motion, obstacle):
        c, car, dt = self.c, self.car, self.dt
        speed, acceleration, heading, blind = motion
        kind, gap, obstacle_speed, obstacle_acceleration = obstacle
        soon = max(0.0, speed + c.foresight_s * acceleration)
        limit = self.stage.limit[int(car.s)]
        if soon <= limit:
            demand = c.comfort_acceleration_mps2 * (1 - (soon / limit) ** 4)
        else:
            demand = -min(2 * (soon - limit), c.comfort_braking_mps2)
        if kind:
            ahead = max(0.0, obstacle_speed + c.foresight_s * obstacle_acceleration)
            demand -= self.idm(soon, soon - ahead, gap, c.pedestrian_gap_m if kind == 1 else c.standstill_gap_m)
        line = self.stage.light[0] - car.s
        if self.scene < self.stage.light[1] and 0 < line < c.camera_range_m:
            demand = min(demand, c.comfort_acceleration_mps2 - self.idm(soon, soon, line, 1.0))
        demand = within(demand, -c.full_brake_mps2, c.comfort_acceleration_mps2)
        self.demand = min(demand, self.demand + c.release_mps3 * dt)
        drag = c.drag_mps2 + c.drag_per_m * speed**2
        force = self.demand + drag
        raw_throttle = self.out("raw_throttle", within(force / c.full_throttle_mps2, 0, 1))
        raw_brake = self.out("raw_brake", within(-force / c.full_brake_mps2, 0, 1))
        if not blind:
            pace = max(speed, 3.0)
            omega = c.lane_bandwidth_rad_per_s
            bend = self.curvature - 2 * c.lane_damping * omega * heading / pace - omega**2 * self.position / pace**2
            self.raw_steer = math.atan(c.wheelbase_m * bend)
        self.raw_steer = self.out("raw_steer", within(self.raw_steer, -c.steer_limit_rad, c.steer_limit_rad))

        planned = raw_throttle * c.full_throttle_mps2 - raw_brake * c.full_brake_mps2 - drag
        span = c.reference_span_mps
        self.reference = within(self.reference + planned * dt, speed - span, speed + span)
        error = self.reference - self.out("pid_measured_value", speed)
        self.integral = within(self.integral + c.integral_gain * error * dt, -c.integral_limit, c.integral_limit)
        effort = raw_throttle - raw_brake + c.speed_gain * error + self.integral
        effort = self.out("pid_output", within(effort, -1, 1))
        throttle = within(
            max(effort, 0),
            self.sent_throttle - c.throttle_fall_per_s * dt,
            self.sent_throttle + c.throttle_rise_per_s * dt,
        )
        brake = within(
            max(-effort, 0), self.sent_brake - c.brake_fall_per_s * dt, self.sent_brake + c.brake_rise_per_s * dt
        )
        self.sent_throttle, self.sent_brake = self.out("throttle", throttle), self.out("brake", brake)
        step = c.steer_rate_rad_per_s * dt
        return self.out("steer", within(self.raw_steer, car.steer - step, car.steer + step))

    def move(self, steer):
        c, car, dt = self.c, self.car, self.dt

        def lag(now, target, constant):
            # mean and end of the lag by its exact solution at many instants
            times = (np.arange(2000) + 0.5) / 2000 * dt
            return target + (now - target) * np.exp(-times / constant).mean(), target + (now - target) * math.exp(
                -dt / constant
            )

        push, car.throttle = lag(car.throttle, self.sent_throttle, c.throttle_lag_s)
        pull, car.brake = lag(car.brake, self.sent_brake, c.brake_lag_s)
        turned = car.steer + within(steer - car.steer, -c.steer_servo_rad_per_s * dt, c.steer_servo_rad_per_s * dt)
        angle, car.steer = (car.steer + turned) / 2, turned
        acceleration = push * c.full_throttle_mps2 - pull * c.full_brake_mps2 - c.drag_mps2 - c.drag_per_m * car.v**2
        after = car.v + acceleration * dt
        if after <= 0:
            after, way = 0.0, car.v**2 / (2 * -acceleration)
        else:
            way = (car.v + after) / 2 * dt
        curvature = self.stage.curvature[int(car.s)]
        turn = (math.tan(angle) / c.wheelbase_m - curvature * math.cos(car.psi) / (1 - curvature * car.d)) * way
        middle = car.psi + turn / 2
        car.s += math.cos(middle) / (1 - curvature * car.d) * way
        car.d = within(car.d + math.sin(middle) * way, -6, 6)
        car.psi = within(car.psi + turn, -1.2, 1.2)
        car.a, car.v = (after - car.v) / dt, after

    def run(self, scenes=None):
        scenes = scenes or self.scenario.scenes
        values, judged = np.empty((scenes, len(VARIABLES))), np.empty((scenes, 4))
        for self.scene in range(scenes):
            self.row = values[self.scene]
            places = self.where()
            judged[self.scene] = self.judge(places)
            *motion, blind = self.lane()
            camera, lidar = self.sense(places, "camera"), self.sense(places, "lidar")
            self.follow(places, camera, lidar, motion[1])
            obstacle = self.world(places, *self.fuse(), motion[0])
            self.move(self.drive((*motion, blind), obstacle))
        return values, judged
