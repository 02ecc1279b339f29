using CutoffLen.Checkpoints.Lora;
using CutoffLen.Memory;
using CutoffLen.Models.Llama;
using CutoffLen.Positions.Methods;
using CutoffLen.Training;

namespace CutoffLen.Tests.Memory;

public sealed class MemoryPlanTests
{
    private static readonly AdapterConfig Lora = new(
        8, 16, 0, ModuleSelection.Named("q_proj", "k_proj", "v_proj", "o_proj"), ["embed_tokens", "norm", "input_layernorm", "post_attention_layernorm"], false);

    private static LlamaConfig Llama8B { get; } = new()
    {
        VocabSize = 128256,
        HiddenSize = 4096,
        IntermediateSize = 14336,
        NumHiddenLayers = 32,
        NumAttentionHeads = 32,
        NumKeyValueHeads = 8,
        HeadDim = 128,
        MaxPositionEmbeddings = 8192,
    };

    [Fact]
    public void What_stays_for_the_whole_run_is_counted_by_the_parameter()
    {
        const long count = 8_030_261_248; // what Hugging Face says of LlamaForCausalLM-3-8B
        var plan = MemoryPlan.Of(Llama8B, On(32768) with { OnGpu = true });
        Assert.Equal(2 * count, Bytes(plan, "weights"));
        Assert.Equal(2 * count, Bytes(plan, "gradients"));
        Assert.Equal(4 * count, Bytes(plan, "master weights, float32"));
        Assert.Equal(8 * count, Bytes(plan, "optimizer moments, float32"));

        var offloaded = MemoryPlan.Of(Llama8B, On(32768) with { OnGpu = true, OffloadOptimizer = true, Optimizer = OptimizerKind.Lion });
        Assert.Equal(0, Bytes(offloaded, "master weights, float32"));
        Assert.Equal(4 * count, offloaded.Host.Single(part => part.Name == "optimizer moments, float32").Bytes);

        // Adapters of q and o: 2 * 8 * 8192; of k and v: 2 * 8 * 5120; embedding; two norms a layer and the last one.
        const long trained = (32L * ((16 * 8192) + (16 * 5120) + (2 * 4096))) + 4096 + (128256L * 4096);
        var adapters = On(32768) with { OnGpu = true, Lora = Lora, AccumulationSteps = 2 };
        Assert.Equal(trained, MemoryPlan.TrainedParameters(Llama8B, adapters));
        Assert.Equal(8 * trained, Bytes(MemoryPlan.Of(Llama8B, adapters), "optimizer moments, float32"));
        Assert.Equal(4 * trained, Bytes(MemoryPlan.Of(Llama8B, adapters), "sum of gradients, float32"));
    }

    [Fact]
    public void Projections_in_4_bits_take_half_a_byte_and_their_scales_and_one_of_them_is_dequantized()
    {
        // A layer: q and o, k and v, gate, up and down.
        const long layer = (2 * 4096 * 4096L) + (2 * 1024 * 4096) + (3 * 14336 * 4096L), projections = 32 * layer, others = 8_030_261_248 - projections;
        const long blocks = projections / 64;
        const long adapters = 32L * ((16 * 8192) + (16 * 5120));
        var plan = MemoryPlan.Of(Llama8B, On(32768) with { OnGpu = true, Lora = Lora, Quantization = Quantization.Nf4 });
        Assert.Equal((2 * (others + adapters)) + (projections / 2) + blocks + (4 * blocks / 256), Bytes(plan, "weights"));
        Assert.InRange(Bytes(plan, "a dequantized weight"), 2 * 14336 * 4096, 1.5 * 2 * 14336 * 4096);
        Assert.Equal(0, Bytes(MemoryPlan.Of(Llama8B, On(32768) with { Lora = Lora }), "a dequantized weight"));
    }

    [Fact]
    public void Kept_inputs_are_the_stream_attention_and_its_sums_of_every_layer()
    {
        var plan = MemoryPlan.Of(Llama8B, On(32768) with { OnGpu = true, Recompute = Recompute.Layers });
        const long layer = 32768L * ((2 * 4096 * 2) + (4 * 32));
        Assert.Equal((32 * layer) + (32768L * 4096 * 2), Bytes(plan, "inputs of layers")); // and the stream after the last one

        var parked = MemoryPlan.Of(Llama8B, On(32768) with { OnGpu = true, Recompute = Recompute.Layers, OffloadInputs = true });
        Assert.InRange(Bytes(parked, "inputs of layers"), 1, Bytes(plan, "inputs of layers") / 8);
        Assert.Equal(32 * 32768L * 2 * 4096 * 2, parked.Host.Single(part => part.Name == "inputs of layers").Bytes);
    }

    [Fact]
    public void Memory_grows_linearly_with_the_cutoff()
    {
        long Peak(int cutoff) => MemoryPlan.Of(Llama8B, On(cutoff) with { OnGpu = true, Recompute = Recompute.Layers }).DeviceBytes;
        Assert.InRange((Peak(1 << 19) - Peak(1 << 18)) / (double)(Peak(1 << 18) - Peak(1 << 17)), 1.9, 2.1);
    }

    [Fact]
    public void Ranks_that_share_a_sequence_have_their_share_of_its_tokens_and_gather_its_keys_and_values()
    {
        var settings = On(32768) with { OnGpu = true, Recompute = Recompute.Layers, MayFuse = true };
        var (one, four) = (MemoryPlan.Of(Llama8B, settings), MemoryPlan.Of(Llama8B, settings with { ContextParallelSize = 4 }));
        Assert.All(
            ["inputs of layers", "activations of layers", "gradients between layers"],
            name => Assert.Equal(Bytes(one, name), 4 * Bytes(four, name)));
        Assert.Equal(Bytes(one, "position tables"), Bytes(four, "position tables"));
        Assert.Equal(0, Bytes(one, "keys and values of all ranks"));
        // Three of 1024 numbers for each key; for each of the 4096 queries of a chunk two of 1024, and three of 4096.
        Assert.Equal(2 * ((3 * 1024 * 32768L) + (4096 * ((2 * 1024) + (3 * 4096)))), Bytes(four, "keys and values of all ranks"));
        Assert.Equal(2 * 14, (On(100) with { BatchSize = 2, ContextParallelSize = 8 }).Tokens); // padded to 112
    }

    [Fact]
    public void Ranks_that_share_a_sequence_send_keys_values_and_gradients()
    {
        // Forward, backward and gradients: 3 times keys and values, 2 * 1024 numbers of 2 bytes a token. Each rank sends its 4096 tokens to 7 others.
        var settings = On(32768) with { AccumulationSteps = 2, ContextParallelSize = 8 };
        Assert.Equal(2 * 32 * 3L * 2 * 1024 * 2 * 4096 * 7, StepTraffic.ContextParallelBytes(Llama8B, settings));
        Assert.Equal(0, StepTraffic.ContextParallelBytes(Llama8B, On(32768)));
    }

    [Fact]
    public void Ranks_share_the_state_of_the_optimizer_and_exchange_gradients_and_weights()
    {
        var eight = On(1024) with { OnGpu = true, Ranks = 8 };
        var (plan, shard) = (MemoryPlan.Of(Llama8B, eight), (LlamaParameters.Count(Llama8B) + 7) / 8);
        Assert.Equal(8 * shard, Bytes(plan, "optimizer moments, float32"));
        Assert.Equal(4 * shard, Bytes(plan, "master weights, float32"));
        Assert.Equal(4 * shard, Bytes(plan, "gradients of a shard, float32"));
        Assert.Equal(7 * shard * (4 + 2), StepTraffic.DataParallelBytes(Llama8B, eight)); // float32 gradients, bfloat16 weights
        Assert.Equal(0, StepTraffic.DataParallelBytes(Llama8B, On(1024)));
    }

    [Fact]
    public void The_largest_cutoff_fits_and_the_next_does_not()
    {
        var settings = On(1024) with { OnGpu = true, Lora = Lora, Recompute = Recompute.Layers };
        var largest = new MemoryAdvice(Llama8B, settings, 80_000_000_000).LargestCutoff();
        Assert.True(new MemoryAdvice(Llama8B, settings with { Cutoff = largest }, 80_000_000_000).Fits);
        Assert.False(new MemoryAdvice(Llama8B, settings with { Cutoff = largest + 256 }, 80_000_000_000).Fits);
        Assert.Equal(0, new MemoryAdvice(Llama8B, settings, 10_000_000_000).LargestCutoff());
    }

    [Fact]
    public void The_smallest_change_that_helps_is_named()
    {
        string Change(MemorySettings settings, long gigabytes) =>
            string.Join("; ", new MemoryAdvice(Llama8B, settings with { OnGpu = true }, gigabytes * 1_000_000_000).SmallestChange(Lora));
        var adapters = On(32768) with { Lora = Lora };
        Assert.Equal("recompute: mlp", Change(adapters, 80));
        Assert.Equal("per_device_train_batch_size: 1 with gradient_accumulation_steps: 16", Change(adapters with { BatchSize = 8, AccumulationSteps = 2, Recompute = Recompute.Layers }, 80));
        Assert.Equal("offload_optimizer: true", Change(On(2048) with { Recompute = Recompute.Layers }, 80));
        Assert.Equal("recompute: layers; offload_optimizer: true", Change(On(16384), 80));
        Assert.Equal("dtype: bf16", Change(adapters with { Width = 4, Recompute = Recompute.Layers, OffloadInputs = true, OffloadOptimizer = true }, 40));
        Assert.Equal("quantization: nf4", Change(adapters with { Recompute = Recompute.Layers, OffloadInputs = true, OffloadOptimizer = true, Optimizer = OptimizerKind.Lion, MayFuse = true }, 20));
        Assert.Equal("", Change(On(2048), 10));
    }

    [Fact]
    public void The_equation_of_CLEX_is_trained_with_the_weights_and_its_angles_take_memory()
    {
        const long equation = 2 * 64 * 128;
        var (rope, clex) = (On(32768), On(32768) with { EquationParameters = equation });
        Assert.Equal(LlamaParameters.Count(Llama8B) + equation, MemoryPlan.TrainedParameters(Llama8B, clex));
        string[] state = ["weights", "gradients", "master weights, float32", "optimizer moments, float32"];
        Assert.Equal([2 * equation, 2 * equation, 4 * equation, 8 * equation], state.Select(name => Bytes(MemoryPlan.Of(Llama8B, clex), name) - Bytes(MemoryPlan.Of(Llama8B, rope), name)));
        // In float32: two of 64 angles; for 4096 numbers of a layer's queries their copy, its gradient, and products of halves.
        Assert.Equal(4 * 32768L * ((2 * 64) + (2 * 4096) + 2048), Bytes(MemoryPlan.Of(Llama8B, clex), "gradients of rotation angles"));
        Assert.Equal(0, Bytes(MemoryPlan.Of(Llama8B, rope), "gradients of rotation angles"));
    }

    /// <summary>Bands with the same keys share one encoding of them.</summary>
    [Theory]
    [InlineData("hope", 1, 1, true)]
    [InlineData("rerope", 2, 2, false)]
    [InlineData("string", 2, 1, false)]
    [InlineData("dca", 3, 1, false)]
    [InlineData("lampe", 3, 2, false)]
    public void The_plan_knows_a_method_by_its_bands(string spec, int bands, int keyEncodings, bool plain)
    {
        var shape = BandShape.Of(new PositionSetup(PositionMethods.Parse(spec), Llama8B.Positions, 32768).Method, 32768);
        Assert.Equal((bands, keyEncodings, plain), (shape.Bands, shape.KeyEncodings, shape.IsPlain));
        // Cosine and sine in float32 for 64 pairs, for each encoding of queries and of keys; ReRoPE's far keys have none.
        Assert.Equal((bands + keyEncodings - (spec == "rerope" ? 1 : 0)) * 64 * 8, shape.TableBytesPerToken);
    }

    private static MemorySettings On(int cutoff) => new(cutoff, BandShape.Of(new RopeMethod(Llama8B.Positions)));

    private static long Bytes(MemoryPlan plan, string name) => plan.Device.SingleOrDefault(part => part.Name == name)?.Bytes ?? 0;
}
