using System.Text.Json.Nodes;
using CutoffLen.Checkpoints;
using CutoffLen.Checkpoints.Safetensors;
using CutoffLen.Common;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Checkpoints;

public sealed class ShardIndexTests : IDisposable
{
    private const string Embedding = "model.embed_tokens.weight";

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData("\"../model.safetensors\"")]
    [InlineData("\"/etc/model.safetensors\"")]
    [InlineData("\"sub/model.safetensors\"")]
    [InlineData("\"..\\\\model.safetensors\"")]
    [InlineData("\"C:model.safetensors\"")]
    [InlineData("\"\\u0000.safetensors\"")]
    [InlineData("\"pytorch_model.bin\"")]
    [InlineData("\"\"")]
    [InlineData("null")]
    [InlineData("7")]
    [InlineData("[\"model.safetensors\"]")]
    public void Nothing_but_a_plain_file_name_is_followed(string place)
    {
        Save();
        // What the entry would reach exists, so that only the name can be the reason.
        File.Copy(Directory.EnumerateFiles(folder["a"], "*.safetensors").First(), folder["model.safetensors"]);
        Directory.CreateDirectory(folder["a/sub"]);
        File.Copy(folder["model.safetensors"], folder["a/sub/model.safetensors"]);
        Edit(map => map[Embedding] = JsonNode.Parse(place));
        Assert.Contains($"'{Embedding}' is said to be in", Fault(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_link_to_a_file_is_followed_as_Hugging_Faces_cache_needs()
    {
        Save();
        foreach (var file in Directory.GetFiles(folder["a"]))
        {
            File.Move(file, folder["blob-" + Path.GetFileName(file)]);
            File.CreateSymbolicLink(file, "../blob-" + Path.GetFileName(file));
        }

        using var checkpoint = HuggingFaceCheckpoint.Open(folder["a"]);
        using var scope = NewDisposeScope();
        Assert.Equal(TinyCheckpoint.Config.VocabSize, checkpoint.Load().HeadWeight.shape[0]);
    }

    [Fact]
    public void A_missing_shard_a_misplaced_tensor_and_one_that_is_not_named_are_all_said()
    {
        Save();
        var shards = Directory.GetFiles(folder["a"], "*.safetensors").Order(StringComparer.Ordinal).ToList();
        File.Delete(shards[^1]);
        Edit(map =>
        {
            map[Embedding] = Path.GetFileName(shards[1]);
            map.Remove("model.layers.0.self_attn.q_proj.weight");
        });
        var lines = Fault().Split('\n');
        Assert.Contains(lines, line => line.Contains($"'{Path.GetFileName(shards[^1])}', which is not in the folder", StringComparison.Ordinal));
        Assert.Contains(lines, line => line.Contains($"places '{Embedding}' in '{Path.GetFileName(shards[1])}', which does not hold it", StringComparison.Ordinal));
        Assert.Contains(lines, line => line.Contains("holds 'model.layers.0.self_attn.q_proj.weight', which model.safetensors.index.json does not name", StringComparison.Ordinal));
    }

    [Fact]
    public void A_tensor_in_two_shards_is_an_error()
    {
        Save();
        var shards = Directory.GetFiles(folder["a"], "*.safetensors").Order(StringComparer.Ordinal).ToList();
        File.Copy(shards[0], folder["a/twice.safetensors"]);
        Edit(map => map["more"] = "twice.safetensors");
        Assert.Contains($"tensor '{Embedding}' is also in", Fault(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("model.layers.0.self_attn.rotary_emb.inv_freq")]
    [InlineData("model.layers.1.self_attn.rotary_emb.cos_cached")]
    [InlineData("model.rotary_emb.inv_freq")]
    [InlineData("rotary_emb.inv_freq")]
    [InlineData("lm_head.weight", true)]
    [InlineData("v_head.summary.weight")]
    [InlineData("model.layers.0.self_attn._extra_state")]
    public void A_tensor_that_nobody_needs_may_be_named_or_held_or_both(string name, bool isTied = false)
    {
        var config = TinyCheckpoint.Config with { TieWordEmbeddings = isTied };
        TinyCheckpoint.Save(folder["a"], config, maxShardBytes: 4000);
        var plain = TinyCheckpoint.Load(folder["a"]);
        // Named, but in no file: transformers' converters leave rotary frequencies out and keep the index.
        Edit(map => map[name] = (string)map[Embedding]!);
        Assert.Equal(plain, TinyCheckpoint.Load(folder["a"]));
        // In another file than named, and in one that is not named.
        using var scope = NewDisposeScope();
        SafetensorsWriter.Write(folder["a/more.safetensors"], [(name, isTied ? TinyCheckpoint.Weights(config)[0].Tensor : ones(2))]);
        Edit(map => map["model.layers.9.rotary_emb.inv_freq"] = "more.safetensors");
        Assert.Equal(plain, TinyCheckpoint.Load(folder["a"]));
        Edit(map => map.Remove(name));
        Assert.Equal(plain, TinyCheckpoint.Load(folder["a"]));
    }

    [Fact]
    public void What_the_network_needs_is_missed_however_the_index_names_it()
    {
        Save();
        Edit(map => map["lm_head.weight"] = (string)map[Embedding]!);
        Assert.Contains("places 'lm_head.weight'", Fault(), StringComparison.Ordinal);
        Edit(map => map.Remove("lm_head.weight"));
        Assert.Contains("missing tensors: 'lm_head.weight'", Fault(), StringComparison.Ordinal);
        Edit(map => map["model.layers.0.self_attn.rotary_emb.inv_freq"] = "gone.safetensors");
        Assert.Contains("names 'gone.safetensors', which is not in the folder", Fault(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("""{"weight_map":{}}""")]
    [InlineData("""{"weight_map":[]}""")]
    public void An_index_without_a_map_is_an_error(string json)
    {
        Save();
        folder.Write("a/model.safetensors.index.json", json);
        Assert.Contains("weight_map", Fault(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(new long[] { 3, 3, 3, 3 }, 6, new[] { 0, 0, 1, 1 })]
    [InlineData(new long[] { 9, 1, 1, 9 }, 6, new[] { 0, 1, 1, 2 })]
    [InlineData(new long[] { 1, 2, 3 }, 100, new[] { 0, 0, 0 })]
    [InlineData(new long[] { 5 }, 1, new[] { 0 })]
    public void Shards_are_filled_in_order_up_to_the_size(long[] bytes, long size, int[] shards) =>
        Assert.Equal(shards, ShardIndex.Plan(bytes, size));

    private void Save() => TinyCheckpoint.Save(folder["a"], maxShardBytes: 4000);

    private void Edit(Action<JsonObject> edit)
    {
        var path = folder["a/model.safetensors.index.json"];
        var json = JsonNode.Parse(File.ReadAllText(path))!;
        edit(json["weight_map"]!.AsObject());
        File.WriteAllText(path, json.ToJsonString());
    }

    private string Fault() => Assert.Throws<UserException>(() => HuggingFaceCheckpoint.Open(folder["a"])).Message;
}
