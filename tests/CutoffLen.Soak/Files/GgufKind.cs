using CutoffLen.Checkpoints;
using CutoffLen.Checkpoints.Gguf;
using CutoffLen.Models.Llama;
using static TorchSharp.torch;

namespace CutoffLen.Soak.Files;

/// <summary>A model as one GGUF file: every weight that is loaded must be the one that a plain reader finds under llama.cpp's name.</summary>
internal sealed class GgufKind() : DamagedKind("gguf", "model.gguf")
{
    private const string Sample = "the 12 of many words";

    public override void Prepare(TemporaryFolder folder)
    {
        TinyCheckpoint.SaveWithTexts(folder, texts: 0);
        GgufExport.Write(folder["model"], folder[FileName], GgufType.F32);
    }

    public override DamagedFile Damaged(byte[] original, Damage damage) => damage.Gguf(original);

    public override Meaning Read(TemporaryFolder folder)
    {
        Environment.SetEnvironmentVariable("XDG_CACHE_HOME", folder["cache"]);
        Directory.CreateDirectory(folder["cache"]).Delete(recursive: true);
        using var scope = NewDisposeScope();
        using var model = ModelFolder.Open(GgufImport.Folder(folder[FileName]));
        var text = model.HasTokenizer ? string.Join(' ', model.Tokenizer.Encode(Sample)) : "";
        return Meaning.Of(text, model.Load(dtype: ScalarType.Float32));
    }

    public override string? Contradiction(byte[] damaged, Meaning found, Meaning original) =>
        new Meaning(found.Text, PlainReaders.Gguf(damaged).ToDictionary(tensor => NameOf(tensor.Key), tensor => InOrder(tensor.Key, tensor.Value))).DifferenceFrom(found);

    /// <summary>Hugging Face's name.</summary>
    private static string NameOf(string name)
    {
        (string Theirs, string Ours)[] parts =
        [
            ("token_embd", "model.embed_tokens"), ("output_norm", "model.norm"), ("blk.", "model.layers."), ("attn_norm", "input_layernorm"), ("ffn_norm", "post_attention_layernorm"),
            ("attn_output", "self_attn.o_proj"), ("attn_q", "self_attn.q_proj"), ("attn_k", "self_attn.k_proj"), ("attn_v", "self_attn.v_proj"),
            ("ffn_gate", "mlp.gate_proj"), ("ffn_up", "mlp.up_proj"), ("ffn_down", "mlp.down_proj"),
        ];
        return name == "output.weight" ? LlamaParameters.Head : parts.Aggregate(name, (text, part) => text.Replace(part.Theirs, part.Ours, StringComparison.Ordinal));
    }

    /// <summary>Rows 2n and 2n + 1 of a head of queries or keys are n and n + D/2.</summary>
    private static float[] InOrder(string name, float[] values)
    {
        if (!name.Contains("attn_q", StringComparison.Ordinal) && !name.Contains("attn_k", StringComparison.Ordinal))
        {
            return values;
        }

        var (head, width) = (TinyCheckpoint.Config.HeadDim, TinyCheckpoint.Config.HiddenSize);
        var rows = values.Chunk(width).ToArray();
        return [.. Enumerable.Range(0, rows.Length).SelectMany(row => rows[(row / head * head) + (row % head * 2 % head) + (row % head * 2 / head)])];
    }
}
