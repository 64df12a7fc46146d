;; Puts labels in front of whole lines, sixteen bytes at a time. `npm run assemble` makes stamp-lines-code.ts of it.
;;
;; The memory: the `@` and the sixteen digits of the second from 0 on; lines and labelled lines where the caller says.
(module
  (memory (export "memory") 4)

  ;; Takes lines from $at up to $end, and puts them to $out; it stops where no whole line is left, where the result is
  ;; longer than up to $enough, and where the second is over. Up to 31 bytes behind what it reads and writes are touched.
  ;; $us is the microsecond of the first label; later ones are a microsecond apart, up to $most.
  ;; Returns $at, $out and $us as they are then.
  (func (export "stamp")
    (param $at i32) (param $end i32) (param $out i32) (param $enough i32) (param $us i32) (param $most i32)
    (result i32 i32 i32)
    (local $from i32) (local $to i32) (local $found i32)
    (local $bytes v128) (local $second v128) (local $newlines v128)
    (local.set $second (v128.load (i32.const 0)))
    (local.set $newlines (i8x16.splat (i32.const 10)))
    (block $done
      (loop $lines
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (br_if $done (i32.gt_u (local.get $out) (local.get $enough)))
        (br_if $done (i32.ge_u (local.get $us) (i32.const 1000000)))

        ;; The line, behind its label, with what there is after it.
        (local.set $from (local.get $at))
        (local.set $to (i32.add (local.get $out) (i32.const 26)))
        (loop $sixteen
          (local.set $bytes (v128.load (local.get $from)))
          (v128.store (local.get $to) (local.get $bytes))
          (local.set $found (i8x16.bitmask (i8x16.eq (local.get $bytes) (local.get $newlines))))
          (if (i32.eqz (local.get $found))
            (then
              (local.set $from (i32.add (local.get $from) (i32.const 16)))
              (local.set $to (i32.add (local.get $to) (i32.const 16)))
              (br_if $sixteen (i32.lt_u (local.get $from) (local.get $end)))
              (br $done))))
        (local.set $found (i32.add (i32.ctz (local.get $found)) (i32.const 1)))
        (local.set $from (i32.add (local.get $from) (local.get $found)))
        (br_if $done (i32.gt_u (local.get $from) (local.get $end)))

        ;; The label: nanoseconds in the middle of the microsecond, each byte of them taken apart into two digits.
        (v128.store (local.get $out) (local.get $second))
        (i32.store8 offset=16 (local.get $out) (i32.load8_u (i32.const 16)))
        (local.set $bytes
          (i8x16.shuffle 3 3 2 2 1 1 0 0 3 3 2 2 1 1 0 0
            (i32x4.splat (i32.add (i32.mul (local.get $us) (i32.const 1000)) (i32.const 500)))
            (v128.const i64x2 0 0)))
        (v128.store64_lane offset=17 0 (local.get $out)
          (i8x16.swizzle
            (v128.const i8x16 0x30 0x31 0x32 0x33 0x34 0x35 0x36 0x37 0x38 0x39 0x61 0x62 0x63 0x64 0x65 0x66)
            (v128.bitselect
              (i8x16.shr_u (local.get $bytes) (i32.const 4))
              (v128.and (local.get $bytes) (i8x16.splat (i32.const 15)))
              (v128.const i16x8 0x00ff 0x00ff 0x00ff 0x00ff 0x00ff 0x00ff 0x00ff 0x00ff))))
        (i32.store8 offset=25 (local.get $out) (i32.const 32))

        (local.set $us (i32.add (local.get $us) (i32.lt_s (local.get $us) (local.get $most))))
        (local.set $out (i32.add (local.get $to) (local.get $found)))
        (local.set $at (local.get $from))
        (br $lines)))
    (local.get $at) (local.get $out) (local.get $us)))
