using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using CutoffLen.Models.Llama;
using CutoffLen.Runs.Check;
using CutoffLen.Tests.Checkpoints.Adapters;

namespace CutoffLen.Tests.Checkpoints;

/// <summary>A checkpoint in 4 bits as transformers and bitsandbytes save it, and the same in float32, byte by byte.</summary>
internal sealed class BitsAndBytesCheckpoint
{
    private readonly string folder;
    private readonly int blockSize;
    private readonly string dtype;

    /// <summary>Writes both: <paramref name="folder"/>, and its numbers as <paramref name="dense"/>.</summary>
    public BitsAndBytesCheckpoint(
        string folder, string dense, bool nested = true, int blockSize = 64, string dtype = "float32", string skipped = "lm_head", int? vocabulary = null)
    {
        var config = Config with { VocabSize = vocabulary ?? Config.VocabSize };
        (this.folder, this.blockSize, this.dtype) = (folder, blockSize, dtype);
        var weights = PlainTensors.Read(Path.Combine(TinyCheckpoint.Save(folder, config, seed: 3), "model.safetensors"));
        foreach (var (name, weight) in weights)
        {
            if (name.EndsWith("_proj.weight", StringComparison.Ordinal) && !name.Contains(skipped, StringComparison.Ordinal))
            {
                weights[name] = weight with { Values = Add(name, weight, nested) };
            }
            else
            {
                Tensors[name] = ("F32", weight.Shape, Bytes(weight.Values));
            }
        }

        TinyCheckpoint.Save(dense, config);
        PlainTensors.Write(Path.Combine(dense, "model.safetensors"), weights);
        Write();
        TinyCheckpoint.EditConfig(folder, json => json["quantization_config"] = JsonNode.Parse($$"""
            {"_load_in_4bit":true,"_load_in_8bit":false,"bnb_4bit_compute_dtype":"bfloat16","bnb_4bit_quant_storage":"uint8","bnb_4bit_quant_type":"nf4",
            "bnb_4bit_use_double_quant":{{(nested ? "true" : "false")}},"llm_int8_enable_fp32_cpu_offload":false,"llm_int8_has_fp16_weight":false,
            "llm_int8_skip_modules":["{{skipped}}"],"llm_int8_threshold":6.0,"load_in_4bit":true,"load_in_8bit":false,"quant_method":"bitsandbytes"}
            """));
    }

    /// <summary>Its gate and up projections have more than 256 blocks, so their scales more than one.</summary>
    public static LlamaConfig Config { get; } = TinyCheckpoint.Config with { HiddenSize = 64, IntermediateSize = 288, HeadDim = 16 };

    /// <summary>The tensors, to be damaged.</summary>
    public Dictionary<string, (string Dtype, int[] Shape, byte[] Bytes)> Tensors { get; } = [];

    /// <summary>Writes model.safetensors.</summary>
    public void Write()
    {
        var (header, data) = (new List<string>(), new List<byte>());
        foreach (var (name, (type, shape, bytes)) in Tensors)
        {
            header.Add($$"""{{JsonSerializer.Serialize(name)}}:{"dtype":"{{type}}","shape":[{{string.Join(',', shape)}}],"data_offsets":[{{data.Count}},{{data.Count + bytes.Length}}]}""");
            data.AddRange(bytes);
        }

        File.WriteAllBytes(Path.Combine(folder, "model.safetensors"), RawSafetensors.File("{" + string.Join(',', header) + "}", [.. data]));
    }

    /// <summary>Changes the JSON object of a quant_state.</summary>
    public void EditState(string weight, Action<JsonObject> edit)
    {
        var name = $"{weight}.quant_state.bitsandbytes__nf4";
        var json = JsonNode.Parse(Tensors[name].Bytes)!.AsObject();
        edit(json);
        Set(name, "U8", Encoding.UTF8.GetBytes(json.ToJsonString()));
    }

    /// <summary>Adds the tensors of a weight; the numbers that they stand for.</summary>
    private double[] Add(string name, PlainTensor weight, bool nested)
    {
        var plain = PlainNf4.Quantize(Array.ConvertAll(weight.Values, value => (float)value), blockSize, nested);
        Tensors[name] = ("U8", [plain.Packed.Length, 1], plain.Packed);
        Set(name + ".quant_map", "F32", Bytes(PlainNf4.CodeBook));
        var state = new JsonObject { ["quant_type"] = "nf4", ["blocksize"] = blockSize, ["dtype"] = dtype, ["shape"] = new JsonArray(weight.Rows, weight.Columns) };
        if (plain.Nested is { } scales)
        {
            Set(name + ".absmax", "U8", scales.Codes);
            Set(name + ".nested_absmax", "F32", Bytes(scales.Absmax));
            Set(name + ".nested_quant_map", "F32", Bytes(PlainNf4.DynamicMap));
            (state["nested_blocksize"], state["nested_dtype"], state["nested_offset"]) = (256, "float32", (double)scales.Offset);
        }
        else
        {
            Set(name + ".absmax", "F32", Bytes(plain.Absmax));
        }

        Set($"{name}.quant_state.bitsandbytes__nf4", "U8", Encoding.UTF8.GetBytes(state.ToJsonString()));
        return Array.ConvertAll(plain.Dequantize(blockSize), value => dtype == "float16" ? (double)(Half)value : value);
    }

    private void Set(string name, string type, byte[] bytes) => Tensors[name] = (type, [bytes.Length / (type == "F32" ? 4 : 1)], bytes);

    private static byte[] Bytes(double[] values) => Bytes(Array.ConvertAll(values, value => (float)value));

    private static byte[] Bytes(float[] values) => MemoryMarshal.AsBytes<float>(values).ToArray();
}
