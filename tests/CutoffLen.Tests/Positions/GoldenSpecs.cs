using System.Text.Json.Nodes;
using CutoffLen.Positions;
using CutoffLen.Positions.HuggingFace;
using CutoffLen.Positions.Methods;

namespace CutoffLen.Tests.Positions;

/// <summary>A case of somebody else's numbers, and what of ours must give the same.</summary>
/// <param name="Case">Its name in the golden file.</param>
/// <param name="Spec">Our spec.</param>
internal sealed record GoldenSpec(string Case, string Spec)
{
    /// <summary>rope_theta.</summary>
    public double Base { get; init; } = 10_000;

    /// <summary>Tokens the model counts as trained at.</summary>
    public int NativeLength { get; init; } = 64;

    /// <summary>How many tokens of tokens.json the case has.</summary>
    public int Length { get; init; } = 256;

    /// <summary>Tokens before the first cached step; null for one full forward.</summary>
    public int? Prefill { get; init; }

    /// <summary>The position id of the token of an index.</summary>
    public Func<int, int> PositionOf { get; init; } = token => token;

    /// <summary>Why the peer's numbers are no target, or null when they are.</summary>
    public string? Exception { get; init; }

    /// <summary>Where it is not the file's usual one.</summary>
    public double? Tolerance { get; init; }

    /// <summary>Tokens of a chunk, where the peer rounds to bfloat16 what each chunk's share of the attention is.</summary>
    public int? RoundsSharesOfChunks { get; init; }

    /// <summary>What the peer's cached step multiplies the scores of earlier keys by, which its full forward does not.</summary>
    public double EarlierKeys { get; init; } = 1;

    /// <summary>The positions of its tokens.</summary>
    public TokenPositions Positions => new([.. Enumerable.Range(0, Length).Select(PositionOf)]);

    /// <summary>The model of a folder as this case has it.</summary>
    public PositionModel On(PositionModel model) => model with { Base = Base, NativeLength = NativeLength };

    /// <summary>Our method for it.</summary>
    public PositionMethod Create(PositionModel model) => new PositionSetup(PositionMethods.Parse(Spec), On(model)).Method;
}

/// <summary>Our specs for every case of the golden files whose numbers come from whole models or attention layers.</summary>
internal static class GoldenSpecs
{
    private const string Stateful = "Hugging Face keeps the longer table for a later, shorter run; ours is a function of the row (golden/README.md, point 6)";
    private const string CachedRotated = "Hugging Face caches rotated keys, so a cached run is not one full forward; ours is (golden/README.md, point 6)";
    private const string BfloatCompute = "all of the peer's arithmetic is in bfloat16: its logits are 0.5 to 1.3 away from its own in float32";

    // PermuteFormer's linear attention does not divide by the sum of weights: its outputs go up to 366, where neighbours in float32
    // are 3e-5 apart. This is 1.1e-6 of them.
    private const double UnnormalisedSums = 4e-4;

    // Queries and keys, at every length: 0.1 ln(2) + 1.
    private const string StringFactor = "1.0693147180559945";

    // The peer's angles at position 9500 are float32.
    private const double FarTables = 5e-4;

    // A key of the cache was scaled for the length it was met at, so one step at 96 tokens sees those before it scaled for 95.
    private static readonly double ScaledForTheLengthBefore = DcaScale(95) / DcaScale(96);

    /// <summary>golden/attention.json: native length 64, 96 tokens.</summary>
    public static IReadOnlyList<GoldenSpec> Attention { get; } =
    [
        new("rerope_w16_t64", "rerope:window=16+logn:original=64"),
        new("rerope_w8_t32", "rerope:window=8+logn:original=32"),
        new("rerope_w32_t96", "rerope:window=32+logn:original=96"),
        new("rerope_w1_t1000", "rerope:window=1+logn:original=1000"),
        new("leaky_rerope_w16_t64_s4", "leaky-rerope:window=16,factor=4+logn:original=64"),
        new("leaky_rerope_w8_t32_s16", "leaky-rerope:window=8,factor=16+logn:original=32"),
        new("leaky_rerope_w32_t1000_s2", "leaky-rerope:window=32,factor=2+logn:original=1000"),
        new("rope", "rope"),
        new("xpos_kaioken_sb2048_m96", "xpos:scale_base=2048"),
        new("xpos_kaioken_sb512_m96", "xpos:scale_base=512"),
        new("xpos_kaioken_sb32_m96", "xpos:scale_base=32"),
        new("xpos_kaioken_sb64_m2048", "xpos:scale_base=64"),
        new("xpos_abacus_sb512_m96", "xpos:scale_base=512"),
        new("xpos_abacus_sb32_m96", "xpos:scale_base=32"),
        new("selfextend_g4_w16", "self-extend:group=4,window=16"),
        new("selfextend_g8_w8", "self-extend:group=8,window=8"),
        new("selfextend_g2_w32", "self-extend:group=2,window=32"),
        new("selfextend_g3_w16", "self-extend:group=3,window=16"),
        new("selfextend_g4_w16_logn32", "self-extend:group=4,window=16+logn:original=32"),
        new("selfextend_g4_w200", "self-extend:group=4,window=200"),
        new("dca_p32_lw4_m256_fp32merge", "dca:chunk=24,window=4,mscale=true,max=256"),
        new("dca_p32_lw4_m32_fp32merge", "dca:chunk=24,window=4,mscale=true,max=32") { EarlierKeys = ScaledForTheLengthBefore },
        new("dca_p48_lw8_m256_fp32merge", "dca:chunk=36,window=8,mscale=true,max=256"),
        new("dca_p128_lw16_m256_fp32merge", "dca:chunk=96,window=16,mscale=true,max=256"),
        new("dca_p64_lw16_m96_fp32merge", "dca:chunk=48,window=16,mscale=true,max=96"),
        new("dca_p32_lw4_m256_bf16merge", "dca:chunk=24,window=4,mscale=true,max=256") { RoundsSharesOfChunks = 20 },
        new("dca_p32_lw4_m32_bf16merge", "dca:chunk=24,window=4,mscale=true,max=32") { RoundsSharesOfChunks = 20, EarlierKeys = ScaledForTheLengthBefore },
        new("bca_b32_sb512", "xpos:scale_base=512+bca:window=32"),
        new("bca_b16_sb64", "xpos:scale_base=64+bca:window=16"),
        // Neither xPos nor any rotation: attention without positions.
        new("bca_b32_sb512_noxpos", "p-rope:fraction=0+bca:window=32"),
        new("bca_b24_sb32", "xpos:scale_base=32+bca:window=24"),
        new("xpos_torchscale_sunyt32_sb512", "xpos:scale_base=512"),
        new("xpos_torchscale_sunyt32_sb32", "xpos:scale_base=32"),
        new("xpos_torchscale_microsoft_sb512", "xpos:scale_base=512"),
        new("xpos_torchscale_microsoft_sb32", "xpos:scale_base=32"),
        new("alibi", "alibi"),
        new("permuteformer_permute", "permute") { Tolerance = UnnormalisedSums },
        new("permuteformer_permute-p", "permute:permutation=false") { Tolerance = UnnormalisedSums },
        new("permuteformer_permute-r", "permute:decay=false") { Tolerance = UnnormalisedSums },
        new("string_s31_w8", $"string:shifted_offset=31,local_window=8,attention_factor={StringFactor}"),
        new("string_s16_w16", $"string:shifted_offset=16,local_window=16,attention_factor={StringFactor}"),
        new("string_s64_w1", $"string:shifted_offset=64,local_window=1,attention_factor={StringFactor}"),
        new("string_s48_w24", $"string:shifted_offset=48,local_window=24,attention_factor={StringFactor}"),
        new("entropy-abf_step1", "abf:base=500000+logn:original=4096"),
        new("entropy-abf_step1_unscaled", "abf:base=500000"),
        new("entropy-abf_step100", "abf:base=500000+logn:original=4096") { PositionOf = token => 100 * token, Tolerance = FarTables },
        new("entropy-abf_step100_unscaled", "abf:base=500000") { PositionOf = token => 100 * token, Tolerance = FarTables },
    ];

    /// <summary>tiny-random-llama/peer_logits.json: base 10000 and native length 64 throughout.</summary>
    public static IReadOnlyList<GoldenSpec> PeerLogits { get; } =
    [
        new("ntk_a4", "ntk:factor=4"),
        new("partntk_s4", "ntk-parts:factor=4,original=64"),
        new("yarn_s4", "yarn:factor=4,original=64"),
        new("ntk_a8", "ntk:factor=8"),
        new("partntk_s8", "ntk-parts:factor=8,original=64"),
        new("yarn_s8", "yarn:factor=8,original=64"),
        new("dynamic_linear", "dynamic-linear:original=64"),
        new("dynamic_ntk1", "dynamic-ntk:factor=1,original=64"),
        new("dynamic_partntk", "dynamic-ntk-parts:original=64"),
        new("dynamic_yarn", "dynamic-yarn:original=64,max=64"),
        new("giraffe_s1_p0.5_t0", "giraffe-power:factor=1,power=0.5"),
        new("giraffe_s4_p0.1_t0", "giraffe-power:factor=4,power=0.1"),
        new("giraffe_s1_p0_t64", "giraffe-truncated:factor=1,cutoff=64"),
        new("giraffe_s2_p0_t64", "giraffe-truncated:factor=2,cutoff=64"),
        new("rerope_w32_t64", "rerope:window=32+logn:original=64"),
        new("rerope_w16_t64", "rerope:window=16+logn:original=64"),
        new("leaky_rerope_w32_t64_s4", "leaky-rerope:window=32,factor=4+logn:original=64"),
        new("leaky_rerope_w16_t64_s8", "leaky-rerope:window=16,factor=8+logn:original=64"),
        new("ntk_mixed_logn_k12_t64", "ntk-mixed:factor=12,b=0.75+logn:original=64"),
        new("ntk_mixed_k12_t64", "ntk-mixed:factor=12,b=0.75"),
        new("rope_logn_t64", "rope+logn:original=64"),
        new("xpos_kaioken_sb512", "xpos:scale_base=512"),
        new("xpos_kaioken_sb64", "xpos:scale_base=64"),
        new("default_4.31", "rope"),
        new("selfextend_g4_w32", "self-extend:group=4,window=32"),
        new("selfextend_g8_w16", "self-extend:group=8,window=16"),
        new("selfextend_g4_w32_logn64", "self-extend:group=4,window=32+logn:original=64"),
        new("dca_p64_lw8_m64", "dca:chunk=48,window=8,mscale=true,max=64"),
        new("dca_p64_lw8_m512", "dca:chunk=48,window=8,mscale=true,max=512"),
        new("dca_p48_lw8_m512", "dca:chunk=36,window=8,mscale=true,max=512"),
    ];

    /// <summary>
    /// logits.json of a folder of golden/ (tiny-random-llama and its siblings): each case's spec is what we read from a
    /// config.json that says what the case's did.
    /// </summary>
    public static IReadOnlyList<GoldenSpec> Logits(string folder) =>
        [.. Read(folder, "logits.json").Select(entry => FromConfig(folder, entry) with
        {
            Length = (int)entry["length"]!,
            PositionOf = (string?)entry["position_ids"] switch
            {
                null => token => token,
                "offset37" => token => token + 37,
                "offset1000" => token => token + 1000,
                "stride2" => token => 2 * token,
                var other => throw new InvalidOperationException($"unknown positions {other}"),
            },
            Exception = entry["case"]!.ToString() switch
            {
                var name when name.Contains("_after", StringComparison.Ordinal) => Stateful,
                var name when name.EndsWith("_bf16compute", StringComparison.Ordinal) => BfloatCompute,
                _ => null,
            },
        })];

    /// <summary>tiny-random-llama/decode_logits.json: a prefill, then one token at a time.</summary>
    public static IReadOnlyList<GoldenSpec> DecodeLogits { get; } =
        [.. Read("tiny-random-llama", "decode_logits.json").Select(entry => FromConfig("tiny-random-llama", entry) with
        {
            Length = (int)entry["total"]!,
            Prefill = (int)entry["prefill"]!,
            Exception = (double)entry["max_abs_diff_to_one_full_forward"]! > 1e-3 ? CachedRotated : null,
        })];

    private static double DcaScale(int length) => 1 + (0.05 * Math.Log(length / 32.0));

    private static IEnumerable<JsonObject> Read(string folder, string file) =>
        JsonNode.Parse(File.ReadAllText(Golden.Path($"{folder}/{file}")))!["cases"]!.AsArray().Select(entry => entry!.AsObject());

    private static GoldenSpec FromConfig(string folder, JsonObject entry)
    {
        var config = JsonNode.Parse(File.ReadAllText(Golden.Path($"{folder}/config.json")))!.AsObject();
        foreach (var (key, value) in entry["overrides"]!.AsObject())
        {
            config[key] = value!.DeepClone();
        }

        config["rope_scaling"] = entry["rope_scaling"]?.DeepClone();
        var positions = PositionConfig.Read(config);
        return new GoldenSpec(entry["case"]!.ToString(), positions.ToSpec().ToString())
        {
            Base = positions.RopeTheta,
            NativeLength = positions.NativeLength,
        };
    }
}
