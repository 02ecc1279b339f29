using System.Text.Json.Nodes;
using CutoffLen.Checkpoints;
using CutoffLen.Common;
using CutoffLen.Models.Llama;
using CutoffLen.Tests.Training;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Checkpoints;

/// <summary>Checkpoints in 4 bits in bitsandbytes' layout, right and damaged.</summary>
public sealed class QuantizedTensorsTests : IDisposable
{
    private const string Up = "model.layers.1.mlp.up_proj.weight";
    private const string State = Up + ".quant_state.bitsandbytes__nf4";

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData(true, 64, "float32", "lm_head")]
    [InlineData(true, 64, "float16", "layers.0.mlp")]
    [InlineData(false, 128, "float32", "self_attn")]
    public void A_checkpoint_is_read_as_plain_arithmetic_reads_it(bool nested, int blockSize, string dtype, string skipped)
    {
        using var scope = NewDisposeScope();
        _ = new BitsAndBytesCheckpoint(folder["4bit"], folder["dense"], nested, blockSize, dtype, skipped);
        using var quantized = ModelFolder.Open(folder["4bit"]);
        using var dense = ModelFolder.Open(folder["dense"]);
        Assert.Equal((Quantization.Nf4, ScalarType.Float32), (quantized.Config.Quantization, quantized.Checkpoint.StoredDtype));
        var (source, expected) = (quantized.Checkpoint.Weights(), dense.Checkpoint.Weights());
        foreach (var (name, shape) in LlamaParameters.Of(BitsAndBytesCheckpoint.Config))
        {
            Assert.Equal(expected(name, shape).Tensor!.data<float>().ToArray(), source(name, shape).Dense().data<float>().ToArray());
        }

        using var network = quantized.Load();
        using var other = dense.Load();
        Assert.True(LoraTests.Logits(other).eq(LoraTests.Logits(network)).all().item<bool>());
        Assert.True(network.named_parameters().Count() < other.named_parameters().Count()); // the projections stay in 4 bits
        using var plain = quantized.Load(dense: true);
        Assert.Equal(other.named_parameters().Count(), plain.named_parameters().Count());

        quantized.SaveAs(folder["saved"], quantized.Config);
        using var saved = ModelFolder.Open(folder["saved"]);
        Assert.Null(saved.Config.Quantization);
        using var again = saved.Load();
        Assert.True(LoraTests.Logits(other).eq(LoraTests.Logits(again)).all().item<bool>());
    }

    public static TheoryData<string, string> Damages { get; } = new()
    {
        { "no state", $"'{Up}' is U8, but has no '{State}': read are weights that bitsandbytes saved in nf4" },
        { "no absmax", $"'{Up}' is in 4 bits, but '{Up}.absmax' is missing" },
        { "no nested map", $"'{Up}' is in 4 bits, but '{Up}.nested_quant_map' is missing" },
        { "short weight", $"'{Up}' is U8 [9215, 1]; by config.json and the weight's quant_state it must be U8 [9216, 1]" },
        { "short absmax", $"'{Up}.absmax' is U8 [287]; by config.json and the weight's quant_state it must be U8 [288]" },
        { "short nested absmax", $"'{Up}.nested_absmax' is F32 [1]; by config.json and the weight's quant_state it must be F32 [2]" },
        { "short map", $"'{Up}.quant_map' is F32 [15]" },
        { "no JSON", $"'{State}'" },
        { "list", $"'{State}': expected a JSON object, found a list" },
        { "floats", $"'{State}' is F32 [4]; allowed is a JSON object as U8" },
        { "fp4", "\"quant_type\" is 'fp4'; allowed is nf4" },
        { "transposed", "\"shape\" must be that of config.json, [288, 64]" },
        { "blocks", "\"blocksize\" is 96; allowed is a power of 2" },
        { "no blocks", "\"blocksize\" is missing" },
        { "dtype", "\"dtype\" is 'int8'; allowed is bfloat16, float16, float32" },
        { "no offset", "\"nested_offset\" is missing" },
        { "offset", "\"nested_offset\" is 'much'" },
        { "nested dtype", "\"nested_dtype\" is 'float16'; allowed is float32" },
        { "more", "unexpected tensors: 'model.layers.1.mlp.up_proj.weight.more'" },
        { "not nested", $"'{Up}.absmax' is U8 [288]; by config.json and the weight's quant_state it must be F32 [288]" },
    };

    [Theory]
    [MemberData(nameof(Damages))]
    public void A_damaged_weight_is_named_once(string damage, string fault)
    {
        var checkpoint = new BitsAndBytesCheckpoint(folder["4bit"], folder["dense"]);
        var tensors = checkpoint.Tensors;
        Action edit = damage switch
        {
            "no state" => () => tensors.Remove(State),
            "no absmax" => () => tensors.Remove(Up + ".absmax"),
            "no nested map" => () => tensors.Remove(Up + ".nested_quant_map"),
            "short weight" => () => tensors[Up] = ("U8", [9215, 1], tensors[Up].Bytes[1..]),
            "short absmax" => () => Cut(".absmax", 1),
            "short nested absmax" => () => Cut(".nested_absmax", 4),
            "short map" => () => Cut(".quant_map", 4),
            "no JSON" => () => tensors[State] = ("U8", [5], "{\"sha"u8.ToArray()),
            "list" => () => tensors[State] = ("U8", [2], "[]"u8.ToArray()),
            "floats" => () => tensors[State] = ("F32", [4], new byte[16]),
            "fp4" => () => checkpoint.EditState(Up, json => json["quant_type"] = "fp4"),
            "transposed" => () => checkpoint.EditState(Up, json => json["shape"] = new JsonArray(64, 288)),
            "blocks" => () => checkpoint.EditState(Up, json => json["blocksize"] = 96),
            "no blocks" => () => checkpoint.EditState(Up, json => json.Remove("blocksize")),
            "dtype" => () => checkpoint.EditState(Up, json => json["dtype"] = "int8"),
            "no offset" => () => checkpoint.EditState(Up, json => json.Remove("nested_offset")),
            "offset" => () => checkpoint.EditState(Up, json => json["nested_offset"] = "much"),
            "nested dtype" => () => checkpoint.EditState(Up, json => json["nested_dtype"] = "float16"),
            "not nested" => () => checkpoint.EditState(Up, json => json.Remove("nested_blocksize")),
            _ => () => tensors[Up + ".more"] = ("U8", [1], [0]),
        };
        edit();
        checkpoint.Write();
        var message = Assert.Throws<UserException>(() => HuggingFaceCheckpoint.Open(folder["4bit"])).Message;
        Assert.Contains(fault, Assert.Single(message.Split('\n')), StringComparison.Ordinal);

        void Cut(string suffix, int bytes) => tensors[Up + suffix] = tensors[Up + suffix] is var (type, shape, all) ? (type, [shape[0] - 1], all[bytes..]) : default;
    }

    [Fact]
    public void Any_damaged_byte_of_a_state_is_refused_in_words_or_harmless()
    {
        var checkpoint = new BitsAndBytesCheckpoint(folder["4bit"], folder["dense"]);
        var (refused, whole, random) = (0, checkpoint.Tensors[State].Bytes, new Random(1));
        for (var n = 0; n < 200; n++)
        {
            var bytes = whole.ToArray();
            bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            checkpoint.Tensors[State] = ("U8", [bytes.Length], bytes);
            checkpoint.Write();
            try
            {
                using var opened = HuggingFaceCheckpoint.Open(folder["4bit"]);
                using var weight = opened.Weights()(Up, [288, 64]).Dense();
            }
            catch (UserException fault)
            {
                Assert.Contains(Up, fault.Message, StringComparison.Ordinal);
                refused++;
            }
        }

        Assert.InRange(refused, 100, 199);
    }

    [Theory]
    [InlineData("""{"quant_method":"gptq","bits":4}""", "other quantized weights are not supported")]
    [InlineData("""{"quant_method":"bitsandbytes","load_in_8bit":true}""", "other quantized weights are not supported")]
    [InlineData("""{"quant_method":"bitsandbytes","load_in_4bit":true}""", "\"bnb_4bit_quant_type\" is 'fp4'; allowed is nf4")]
    [InlineData("""{"load_in_4bit":true,"bnb_4bit_quant_type":"nf4","bnb_4bit_quant_storage":"bfloat16"}""", "\"bnb_4bit_quant_storage\" is 'bfloat16'; allowed is uint8")]
    [InlineData("""{"load_in_4bit":true,"bnb_4bit_quant_type":"nf4","zero_point":true}""", "unknown keys: 'zero_point'")]
    [InlineData("""{"load_in_4bit":true,"bnb_4bit_quant_type":"nf4"}""", "config.json says that weights are in 4 bits, but the files hold none")]
    public void Another_quantization_is_refused(string config, string fault)
    {
        TinyCheckpoint.Save(folder["model"]);
        TinyCheckpoint.EditConfig(folder["model"], json => json["quantization_config"] = JsonNode.Parse(config));
        Assert.Contains(fault, Assert.Single(Assert.Throws<UserException>(() => HuggingFaceCheckpoint.Open(folder["model"])).Message.Split('\n')), StringComparison.Ordinal);
    }
}
