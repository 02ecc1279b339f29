using System.Text.Json.Nodes;
using CutoffLen.Common;
using CutoffLen.Hardware;
using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using CutoffLen.Runs;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Checkpoints.Adapters;

/// <summary>Adapters of the kinds that public reports name (tests/golden/adapters, its README).</summary>
public sealed class PublicAdapterTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    [Fact]
    public void PiSSA_takes_the_principal_part_from_the_base()
    {
        Merge("pissa", "adapter");
        Assert.Equal([8, 7, 6, 5, 4, 3, 2, 1], Diagonal("adapter"), (a, b) => Math.Abs(a - b) < 1e-5);
        Merge("pissa", "adapter-plain");
        Assert.Equal([16, 14, 6, 5, 4, 3, 2, 1], Diagonal("adapter-plain"), (a, b) => Math.Abs(a - b) < 1e-5);
        Assert.Contains("randomly drawn", Assert.Throws<UserException>(() => Merge("pissa", "adapter-niter")).Message);
    }

    [Fact]
    public void A_saved_embedding_of_a_tied_base_is_the_inputs_alone()
    {
        Merge("embedding-on-tied-base", "adapter");
        var (merged, right) = (PlainTensors.Read(folder["adapter/model.safetensors"]), PlainTensors.Read(Golden.Path("adapters/embedding-on-tied-base/right/model.safetensors")));
        Assert.Equal(right.Keys.Order(), merged.Keys.Order());
        Assert.All(right, tensor => Assert.Equal(tensor.Value.Values, merged[tensor.Key].Values, (a, b) => Math.Abs(a - b) < 1e-6));

        var ids = JsonNode.Parse(File.ReadAllText(Golden.Path("adapters/embedding-on-tied-base/ids.json")))!.AsArray().Select(id => (long)id!).ToArray();
        using var scope = NewDisposeScope();
        using var session = ModelSession.Open(folder["adapter"], DeviceAndDtype.Choose("cpu", "fp32"));
        var (model, tokens) = (session.Network, tensor(ids));
        using var plan = AttentionPlan.Create(new RopeMethod(model.Config.Positions), TokenPositions.Sequential(ids.Length), model.Config, CPU);
        Assert.Equal(5.73627, TokenLikelihood.OfDocument(model, model.Hidden(tokens.unsqueeze(0), plan).squeeze(0), tokens).mean().item<float>(), 1e-5);
    }

    [Fact]
    public void An_adapter_on_the_embedding_changes_the_inputs_alone()
    {
        var before = PlainTensors.Read(Golden.Path("adapters/on-embedding/base/model.safetensors"));
        Merge("on-embedding", "embedding-lora");
        AdapterKindTests.AssertMerged(
            PlainMerge.Of(Golden.Path("adapters/on-embedding/base"), Golden.Path("adapters/on-embedding/embedding-lora"), _ => 1), folder["embedding-lora"], isTied: false);
        Assert.Equal(before["model.embed_tokens.weight"].Values, PlainTensors.Read(folder["embedding-lora/model.safetensors"])["lm_head.weight"].Values);
    }

    [Fact]
    public void Last_names_suffixes_and_all_linear_find_the_same_module()
    {
        string[] names = ["last", "suffix", "alllinear"];
        var merged = names.Select(name =>
        {
            Merge("target-modules", name);
            return File.ReadAllBytes(folder[$"{name}/model.safetensors"]);
        }).ToList();
        Assert.Equal(merged[0], merged[1]);
        Assert.Equal(merged[0], merged[2]);
        AdapterKindTests.AssertMerged(
            PlainMerge.Of(Golden.Path("adapters/target-modules/base"), Golden.Path("adapters/target-modules/last"), _ => 1), folder["last"], isTied: false);
    }

    public void Dispose() => folder.Dispose();

    private void Merge(string name, string adapter) => MergeRun.Run(
        Golden.Path($"adapters/{name}/{adapter}"), folder[adapter], Golden.Path($"adapters/{name}/base"), compute: () => DeviceAndDtype.Choose("cpu", "fp32"));

    private double[] Diagonal(string name)
    {
        var weight = PlainTensors.Read(folder[$"{name}/model.safetensors"])["model.layers.0.self_attn.q_proj.weight"];
        return [.. Enumerable.Range(0, 8).Select(n => weight[n, n])];
    }
}
